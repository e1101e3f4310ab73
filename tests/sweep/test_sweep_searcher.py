"""What sampler and scheduler are told again after an interruption."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler

from pipeline.provenance.params import load_params
from pipeline.sweep.journal import Journal
from pipeline.sweep.search import JournalCallback
from pipeline.sweep.searcher import JournalledSearcher, build_scheduler
from pipeline.sweep.settings import Settings, read_settings
from pipeline.sweep.trainable import EPOCH
from tests.conftest import FROZEN
from tests.sweep.test_sweep_settings import write

TRIALS = 15  # Optuna's TPE goes by results after 10
SPACE = {"model.dropout": {"uniform": [0, 0.5]}, "train.learning_rate": {"loguniform": [1e-4, 0.1]}}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    changes = {"trials": TRIALS, "space": SPACE}
    return read_settings(load_params(FROZEN["params.yaml"]), write(tmp_path, changes))


def search(settings: Settings, path: Path, until: int, best: float) -> list[dict[str, object]]:
    """Go on with a search up to a trial; accuracy falls with the distance from a dropout."""
    journal = Journal(path)
    searcher = JournalledSearcher(settings, journal, epochs=1)
    for number in range(len(journal.trials) + 1, until + 1):
        suggested = searcher.suggest(f"id {number}")
        assert suggested
        accuracy = 1 - abs(suggested["changes"]["model.dropout"] - best)
        logs = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), accuracy)
        journal.end_epoch(number, 1, logs)
        searcher.on_trial_complete(f"id {number}", logs | {EPOCH: 1})
    return [trial.changes for trial in journal.trials.values()]


def test_interrupted_it_draws_what_it_would_have_drawn(settings: Settings, tmp_path: Path) -> None:
    undisturbed = search(settings, tmp_path / "one", TRIALS, best=0.1)
    search(settings, tmp_path / "two", 12, best=0.1)
    assert search(settings, tmp_path / "two", TRIALS, best=0.1) == undisturbed


def test_it_learns_from_the_trials_so_far(settings: Settings, tmp_path: Path) -> None:
    low, high = (search(settings, tmp_path / str(best), TRIALS, best) for best in (0.1, 0.4))
    assert low[:10] == high[:10]
    assert low[10:] != high[10:]


def decisions(scheduler: TrialScheduler, metric: str, first: dict[int, float]) -> dict[int, str]:
    """Return what a scheduler decides about trials, by what each has reached in its first epoch."""
    decided = {}
    for number, value in first.items():
        trial = SimpleNamespace(config={"number": number})
        scheduler.on_trial_add(None, trial)
        decided[number] = scheduler.on_trial_result(None, trial, {EPOCH: 1, metric: value})
    return decided


# Successive halving lets the best third of all that came so far go on (Li et al., "A system for
# massively parallel hyperparameter tuning", MLSys 2020, algorithm 2).
@pytest.mark.parametrize(
    ("metric", "first"),
    [
        ("val_accuracy", {1: 0.5, 2: 0.4, 3: 0.6, 4: 0.45, 5: 0.7}),
        ("val_loss", {1: 0.5, 2: 0.6, 3: 0.4, 4: 0.55, 5: 0.3}),
    ],
)
def test_what_is_worse_is_stopped_also_after_an_interruption(
    tmp_path: Path, metric: str, first: dict[int, float]
) -> None:
    changes = {"metric": metric, "scheduler": {"grace_epochs": 1, "reduction_factor": 3}}
    settings = read_settings(load_params(FROZEN["params.yaml"]), write(tmp_path, changes))
    expected = {1: "CONTINUE", 2: "STOP", 3: "CONTINUE", 4: "STOP", 5: "CONTINUE"}
    journal = Journal(tmp_path / "journal")
    scheduler = build_scheduler(settings, journal, epochs=9)
    assert decisions(scheduler, metric, first) == expected

    for number in (1, 2, 3):
        journal.start(number, {})
        logs = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), 0.0)
        journal.end_epoch(number, 1, logs | {metric: first[number]})
        journal.end(number, "stopped")
    again = build_scheduler(settings, Journal(tmp_path / "journal"), epochs=9)
    late = {number: first[number] for number in (4, 5)}
    assert decisions(again, metric, late) == {4: "STOP", 5: "CONTINUE"}


def test_each_epoch_of_a_repeated_trial_has_its_line_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.start(1, {})
    callback = JournalCallback(journal, lambda _trial: None)
    trial = SimpleNamespace(config={"number": 1})
    logs = {"loss": 0.5, "accuracy": 0.9, "val_loss": 0.25, "val_accuracy": 0.875}
    for epoch in (1, 2, 1, 2, 3):  # its worker died after the second
        callback.on_trial_result(trial, {"epoch": epoch, **logs})
    lines = capsys.readouterr().out.splitlines()
    measures = "val_loss 0.2500, val_accuracy 0.8750"
    assert lines == [
        f"trial 1: epoch 1: {measures}",
        f"trial 1: epoch 2: {measures}",
        f"trial 1: epoch 1: {measures} (again)",
        f"trial 1: epoch 2: {measures} (again)",
        f"trial 1: epoch 3: {measures}",
    ]
    assert len(journal.trials[1].epochs) == 3
