"""The id of a state depends on the params and on the files of the state, and on nothing else."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.core.errors import DataError
from pipeline.core.params import flatten
from pipeline.provenance import state
from pipeline.provenance.origin import flatten_sections, parse_yaml
from pipeline.provenance.params import Params, load_params
from tests.conftest import FROZEN, ROOT, edit_params

COMMITTED = json.loads(
    (ROOT / "tests/data/states.json").read_text()
)  # of each state in the history, once
TRAINING_FILES = [
    "data/prepared/train_images.npy",
    "data/prepared/train_labels.npy",
    "data/prepared/val_images.npy",
    "data/prepared/val_labels.npy",
]
STATE_FILES = [
    *TRAINING_FILES,
    "models/model.keras",
    "data/prepared/test_images.npy",
    "data/prepared/test_labels.npy",
    "metrics/evaluation.json",
    "metrics/errors.csv",
]
OTHERS = {
    "prepare.dataset": "fashion",
    "prepare.image_size": [28, 28],
    "prepare.train_samples": 2001,
    "prepare.val_samples": 501,
    "prepare.val_from": "test",
    "prepare.test_samples": 9999,
    "model.conv_blocks": [[32], [64, 128]],
    "model.kernel_size": 5,
    "model.dense_units": [128, 128],
    "model.dropout": 0.1,
    "model.batch_norm": True,
    "model.batch_norm_momentum": 0.99,
    "model.residual": True,
    "augmentation.rotation": 1.0,
    "augmentation.shift": 0.1,
    "augmentation.zoom": 0.1,
    "train.epochs": 11,
    "train.batch_size": 65,
    "train.optimizer": "sgd",
    "train.learning_rate": 0.0010000001,
    "train.learning_rate_schedule": "cosine",
    "train.weight_decay": 0.01,
    "train.label_smoothing": 0.1,
    "train.early_stopping_patience": 1,
    "train.seed": 1,
    "train.threads": 1,
    "train.workers": 2,
    "train.precision": "mixed_bfloat16",
    "evaluate.images": [0],
    "evaluate.confidence": 0.99,
}


@pytest.fixture
def params() -> Params:
    return load_params(FROZEN["params.yaml"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a state, each with content of its own, in the current folder."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for path in map(Path, STATE_FILES):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {path}")
    return here


def change(params: Params, name: str, value: object) -> Params:
    values: dict[str, Any] = params.model_dump()
    section, key = name.split(".")
    values[section][key] = value
    return Params.model_validate(values)


def both(params: Params) -> tuple[str, str]:
    return state.identify(params, state.STATE_FILES), state.identify(params, state.TRAINING_FILES)


@pytest.mark.parametrize("committed", COMMITTED, ids=lambda committed: committed["commit"][:7])
def test_committed_states_keep_their_ids(committed: dict[str, Any]) -> None:
    params = flatten_sections(parse_yaml(committed["params"]))
    digests = {Path(name): md5 for name, md5 in committed["files"].items()}
    given = {path: digests[path] for path in state.TRAINING_FILES}

    assert state.combine(params, digests) == committed["state"]
    assert state.combine(params, given) == committed["training"]


def test_ids_are_short_and_of_one_look(params: Params) -> None:
    for found in both(params):
        assert len(found) == 32
        assert set(found) <= set("0123456789abcdef")


def test_states_and_trainings_are_of_the_files_they_promise() -> None:
    assert sorted(path.as_posix() for path in state.STATE_FILES) == sorted(STATE_FILES)
    assert sorted(path.as_posix() for path in state.TRAINING_FILES) == sorted(TRAINING_FILES)


@pytest.mark.parametrize(("name", "value"), OTHERS.items())
def test_every_param_counts(params: Params, name: str, value: object) -> None:
    for before, after in zip(both(params), both(change(params, name, value)), strict=True):
        assert before != after


def test_param_at_its_neutral_value_does_not_count(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat, digests = flatten(params), {Path(name): "0" * 32 for name in STATE_FILES}
    before = state.combine(flat, digests)
    monkeypatch.setitem(state.NEUTRAL, "train.gradient_clip", None)

    assert state.combine(flat | {"train.gradient_clip": None}, digests) == before
    assert state.combine(flat | {"train.gradient_clip": 1.0}, digests) != before


def test_id_of_a_state_from_before_a_param_was_added_stays(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a number was written as a whole one, which its schema reads as 10.0."""
    sections = params.model_dump()
    sections["augmentation"]["rotation"] = 10
    digests = {Path(name): "0" * 32 for name in STATE_FILES}
    before = state.combine(flatten_sections(sections), digests)
    monkeypatch.setitem(state.NEUTRAL, "train.workers", sections["train"].pop("workers"))

    flat = flatten_sections(sections)

    assert isinstance(flat["augmentation.rotation"], float)
    monkeypatch.delitem(state.NEUTRAL, "train.workers")
    assert state.combine(flat, digests) == before


def test_no_param_is_untested(params: Params) -> None:
    assert set(OTHERS) | set(state.NEUTRAL) == set(flatten(params))  # the latter may come later


@pytest.mark.parametrize("name", STATE_FILES)
def test_every_file_counts_for_what_it_belongs_to(params: Params, name: str) -> None:
    state_before, training_before = both(params)
    Path(name).write_text(f"content of {name}.")

    state_after, training_after = both(params)

    assert state_before != state_after
    assert (training_before != training_after) == (name in TRAINING_FILES)


def test_content_counts_where_it_is(params: Params) -> None:
    before = state.identify(params, state.STATE_FILES)
    images, labels = Path(STATE_FILES[0]), Path(STATE_FILES[1])
    content = images.read_bytes()
    images.write_bytes(labels.read_bytes())
    labels.write_bytes(content)

    assert state.identify(params, state.STATE_FILES) != before


def test_other_files_do_not_count(params: Params) -> None:
    before = both(params)
    for name in ("metrics/history.csv", "metrics/figures/loss.png", "data/prepared/val.md5"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("new")

    assert both(params) == before


def test_times_and_modes_of_files_do_not_count(params: Params) -> None:
    before = both(params)
    for path in map(Path, STATE_FILES):
        os.utime(path, (1, 1))
        path.chmod(0o444)

    assert both(params) == before


def test_order_of_the_files_does_not_count(params: Params) -> None:
    assert state.identify(params, state.STATE_FILES[::-1]) == state.identify(
        params, state.STATE_FILES
    )


def test_folder_of_the_repository_does_not_count(
    params: Params, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = both(params)
    shutil.copytree(folder, tmp_path / "there")
    shutil.rmtree(folder)
    monkeypatch.chdir(tmp_path / "there")

    assert both(params) == before


def test_how_params_are_written_does_not_count(params: Params, tmp_path: Path) -> None:
    path, values = tmp_path / "params.yaml", params.model_dump()
    shutil.copy(FROZEN["params.yaml"], path)
    edit_params(path, {"train.learning_rate": YAML().load("1e-3")})
    assert "1e-3" in path.read_text()
    assert both(load_params(path)) == both(params)

    # JSON is YAML too.
    path.write_text(json.dumps({name: values[name] for name in reversed(values)}, indent=1))
    assert both(load_params(path)) == both(params)


@pytest.mark.parametrize("name", STATE_FILES)
def test_missing_file_is_named(params: Params, name: str) -> None:
    Path(name).unlink()

    with pytest.raises(DataError) as caught:
        state.identify(params, state.STATE_FILES)

    assert str(caught.value).startswith(f"{name}: cannot be read: No such file or directory")
