"""What `sweep.yaml` may say: each mistake is named before any work is done."""

import os
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.core.errors import ParamsError
from pipeline.provenance.params import Params, load_params
from pipeline.sweep.identity import INPUTS, open_folder
from pipeline.sweep.journal import FAILED, FINISHED, STOPPED, Journal, find_best
from pipeline.sweep.settings import Scheduler, read_settings, require_fit
from pipeline.sweep.space import Range, apply, read_range
from tests.conftest import FROZEN

SETTINGS: dict[str, Any] = {
    "metric": "val_accuracy",
    "trials": 4,
    "concurrent": 1,
    "seed": 0,
    "seconds": None,
    "sampler": "tpe",
    "scheduler": {"grace_epochs": 1, "reduction_factor": 3},
    "space": {"model.dropout": {"uniform": [0, 0.5]}},
}


@pytest.fixture
def params() -> Params:
    return load_params(FROZEN["params.yaml"])


def write(folder: Path, changes: dict[str, Any], without: str = "") -> Path:
    """Write a `sweep.yaml` with other settings, and without one."""
    given = {name: value for name, value in (SETTINGS | changes).items() if name != without}
    path = folder / "sweep.yaml"
    YAML().dump(given, path)
    return path


def faults_of(path: Path, params: Params) -> list[str]:
    with pytest.raises(ParamsError) as caught:
        read_settings(params, path)
    return [line.removeprefix(f"{path}: ") for line in str(caught.value).splitlines()]


def test_settings_are_those_of_the_file(params: Params) -> None:
    settings = read_settings(params, FROZEN["sweep.yaml"])
    require_fit(settings, params, 28, 28)
    assert (settings.metric, settings.trials, settings.sampler) == ("val_accuracy", 40, "tpe")
    assert settings.scheduler == Scheduler(grace_epochs=2, reduction_factor=3)
    assert settings.ranges["model.dense_units"] == Range("choice", [[64], [128], [256]])
    assert settings.ranges["train.learning_rate"] == Range("loguniform", [0.0001, 0.1])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"trials": 0}, "trials: must be at least 1, got 0"),
        ({"trials": 1.5}, "trials: must be a whole number, got 1.5"),
        ({"concurrent": 0}, "concurrent: must be at least 1, got 0"),
        ({"seconds": 0}, "seconds: must be "),
        (
            {"metric": "test_accuracy"},
            "metric: must be one of val_accuracy, val_loss, got 'test_accuracy'",
        ),
        ({"sampler": "grid"}, "sampler: must be one of tpe, random, got 'grid'"),
        ({"trails": 3}, "trails: is not a known setting; did you mean trials?"),
        (
            {"scheduler": {"grace_epochs": 1, "reduction_factor": 1}},
            "scheduler.reduction_factor: must be at least 2, got 1",
        ),
        (
            {"scheduler": {"grace_epoch": 1, "grace_epochs": 1, "reduction_factor": 2}},
            "scheduler.grace_epoch: is not a known setting; did you mean grace_epochs?",
        ),
        (
            {"scheduler": {"grace_epochs": 11, "reduction_factor": 2}},
            "scheduler.grace_epochs: must be at most 10, the train.epochs of params.yaml, got 11",
        ),
    ],
)
def test_a_wrong_setting_is_named(
    tmp_path: Path, params: Params, changes: dict[str, Any], fault: str
) -> None:
    (line,) = faults_of(write(tmp_path, changes), params)
    assert line.startswith(fault)


def test_a_missing_setting_is_named(tmp_path: Path, params: Params) -> None:
    assert faults_of(write(tmp_path, {}, without="seed"), params) == ["seed: is missing"]


@pytest.mark.parametrize(
    ("space", "fault"),
    [
        ({}, "space: must have at least one param"),
        (
            {"model.droput": {"uniform": [0, 0.5]}},
            "space: model.droput is not a known parameter; did you mean model.dropout?",
        ),
        (
            {"model.dropout": 0.3},
            "space: model.dropout: must be one of choice: [...], uniform: [...], "
            "loguniform: [...], int: [...]",
        ),
        (
            {"model.dropout": {"choice": []}},
            "space: model.dropout: choice must be a list of values",
        ),
        (
            {"model.dropout": {"uniform": [0.5, 0]}},
            "space: model.dropout: uniform must go from a lower to a higher number, got [0.5, 0]",
        ),
        (
            {"model.dropout": {"uniform": [0, 0.2, 0.5]}},
            "space: model.dropout: uniform must be two numbers, the lowest and the highest, "
            "got [0, 0.2, 0.5]",
        ),
        (
            {"train.batch_size": {"int": [1, 2.5]}},
            "space: train.batch_size: int must be two whole numbers, the lowest and the highest, "
            "got [1, 2.5]",
        ),
        (
            {"train.learning_rate": {"loguniform": [0, 1]}},
            "space: train.learning_rate: loguniform must start above 0, got [0, 1]",
        ),
        ({"model.dropout": {"uniform": [0, 1]}}, "space: model.dropout: must be less than 1"),
        (
            {"train.optimizer": {"choice": ["adam", "adams"]}},
            "space: train.optimizer: must be",
        ),
    ],
)
def test_a_wrong_space_is_named(
    tmp_path: Path, params: Params, space: dict[str, Any], fault: str
) -> None:
    (line,) = faults_of(write(tmp_path, {"space": space}), params)
    assert line.startswith(fault)


@pytest.mark.parametrize(
    "name",
    [
        "prepare.train_samples",
        "evaluate.confidence",
        "train.seed",
        "train.threads",
        "train.workers",
        "train.early_stopping_patience",
        "train.epochs",
    ],
)
def test_what_no_search_may_choose_is_refused(tmp_path: Path, params: Params, name: str) -> None:
    (line,) = faults_of(write(tmp_path, {"space": {name: {"choice": [1, 2]}}}), params)
    assert line.startswith(f"space: {name} cannot be searched: ")


def test_all_faults_are_named_at_once(tmp_path: Path, params: Params) -> None:
    path = write(tmp_path, {"trials": 0, "seed": -1, "space": {"train.seed": {"int": [0, 9]}}})
    assert len(faults_of(path, params)) == 3


def test_params_that_stop_trainings_early_are_refused(tmp_path: Path, params: Params) -> None:
    patient = apply(params, {"train.early_stopping_patience": 3})
    with pytest.raises(ParamsError, match=r"early_stopping_patience: must be null .* got 3"):
        read_settings(patient, write(tmp_path, {}))


def test_trials_that_would_train_with_workers_are_refused(tmp_path: Path, params: Params) -> None:
    several = apply(params, {"train.workers": 2})
    (line,) = faults_of(write(tmp_path, {}), several)
    assert line.startswith("params.yaml: train.workers: must be 1 for a search")


def test_networks_that_do_not_fit_the_images_are_named(tmp_path: Path, params: Params) -> None:
    space = {"model.conv_blocks": {"choice": [[[8]], [[8]] * 5]}}
    settings = read_settings(params, write(tmp_path, {"space": space}))
    with pytest.raises(ParamsError, match=r"with \[\[8\], \[8\], \[8\], \[8\], \[8\]\]") as caught:
        require_fit(settings, params, 28, 28)
    assert len(str(caught.value).splitlines()) == 1


def test_drawn_numbers_are_short_and_stay_within_the_bounds() -> None:
    found = Range("uniform", [0.0, 0.123456])
    assert found.round(0.01234567) == 0.01235
    assert found.round(0.123455) == 0.123456  # 0.1235 would be too much


def test_a_range_of_whole_numbers_is_also_one_of_decimals() -> None:
    assert read_range({"uniform": [0, 1]}).values == [0.0, 1.0]


def test_the_best_trial_is_one_that_ran_to_its_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    accuracies = [(0.9, FINISHED), (0.99, STOPPED), (0.99, FAILED), (0.95, FINISHED)]
    for number, (accuracy, outcome) in enumerate(accuracies, start=1):
        journal.start(number, {})
        journal.end_epoch(number, 1, {"val_accuracy": accuracy, "val_loss": 1 - accuracy})
        journal.end(number, outcome)
    best = find_best(journal, "val_accuracy", 1)
    assert best
    assert best.number == 4
    least = find_best(journal, "val_loss", -1)
    assert least
    assert least.number == 4


def test_a_line_that_a_killed_search_left_half_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.start(1, {"model.dropout": 0.1})
    journal.end_epoch(1, 1, {"val_loss": 1.0})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event": "end", "tri')
    again = Journal(path)
    assert path.read_bytes() == whole
    assert [trial.number for trial in again.unfinished] == [1]
    assert again.trials[1].epochs == [{"val_loss": 1.0}]


def test_an_epoch_of_a_repeated_trial_is_noted_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.start(1, {})
    assert journal.end_epoch(1, 1, {"val_loss": 1.0})
    assert not journal.end_epoch(1, 1, {"val_loss": 1.0})
    assert journal.end_epoch(1, 2, {"val_loss": 0.5})
    assert len(journal.trials[1].epochs) == 2


def test_what_has_changed_is_told_since_the_search_that_ran_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = {"sweep.yaml": "1", "the code": "1"}, {"sweep.yaml": "1", "the code": "2"}
    for seconds, inputs in enumerate((first, second)):
        folder, _ = open_folder(inputs)
        os.utime(folder / INPUTS, (seconds, seconds))
    assert open_folder(first)[1] == []
    assert open_folder({"sweep.yaml": "2", "the code": "1"})[1] == ["sweep.yaml"]
