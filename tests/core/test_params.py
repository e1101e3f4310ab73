"""Sections of params, and params that were added to schemas in use."""

from pathlib import Path

import pytest
from pydantic import Field

from pipeline.core.errors import ParamsError
from pipeline.core.params import Sections, Strict, flatten, neutral


class Train(Strict):
    """A section."""

    epochs: int = Field(ge=1)
    clip: float | None = neutral(None, gt=0)
    nesterov: bool = neutral(False)


class Small(Strict):
    """Some of the same section."""

    epochs: int = Field(ge=1)


class All(Sections):
    """What one stage reads."""

    train: Train


class Some(Sections):
    """What another one reads."""

    train: Small


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("params.yaml")


def test_stage_reads_the_params_that_its_schema_has(path: Path) -> None:
    path.write_text("other: 1\ntrain:\n  epochs: 3\n  clip: 1.0\n  nesterov: true\n")

    assert flatten(All.load(path)) == {
        "train.epochs": 3,
        "train.clip": 1.0,
        "train.nesterov": True,
    }
    assert flatten(Some.load(path)) == {"train.epochs": 3}


def test_neutral_values_are_those_of_the_fields() -> None:
    assert All.neutral_values() == {"train.clip": None, "train.nesterov": False}
    assert Some.neutral_values() == {}


def test_file_from_before_a_param_is_refused_with_the_line_to_add(path: Path) -> None:
    path.write_text("train:\n  nesterov: 1\n")

    with pytest.raises(ParamsError) as caught:
        All.load(path)

    assert str(caught.value).splitlines() == [
        "params.yaml: train.epochs: is missing",
        "params.yaml: train.clip: is missing; add `clip: null`, which changes nothing",
        "params.yaml: train.nesterov: must be true or false, got 1",
    ]


def test_bounds_of_a_neutral_field_hold(path: Path) -> None:
    path.write_text("train: {epochs: 1, clip: 0.0, nesterov: false}\n")

    with pytest.raises(ParamsError, match=r"train\.clip: must be more than 0"):
        All.load(path)
