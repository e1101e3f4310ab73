"""Params are as `dvc.lock` has them, or a state is not true."""

from dataclasses import replace
from pathlib import Path

import pytest
from dvc.repo import Repo

from pipeline.provenance.recorded import DeclaredStage, LockedStage, Recorded, parse_stages
from pipeline.provenance.truth import find_false

PARAMS_OF_TWO_FILES = """
stages:
  train:
    cmd: "true"
    params: [train.seed, versions.yaml: [a.b, deep], all.yaml: ]
"""


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """A stage with params of several files, whose lock DVC has written; the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(PARAMS_OF_TWO_FILES)
    Path("params.yaml").write_text("train: {seed: 0, epochs: 10}\n")
    Path("versions.yaml").write_text("a: {b: 1, c: 2}\ndeep: {one: {two: [3, 4]}}\n")
    Path("all.yaml").write_text("x: {y: 5}\n")
    with Repo.init(no_scm=True) as repo:
        repo.reproduce()
    return Recorded(
        folder=tmp_path,
        params={"train.seed": 0, "train.epochs": 10},
        declared=parse_stages(PARAMS_OF_TWO_FILES, DeclaredStage),
        stages=parse_stages(Path("dvc.lock").read_text(), LockedStage),
    )


def test_params_of_another_file_are_compared_at_any_depth(recorded: Recorded) -> None:
    assert find_false(recorded) == []

    Path("versions.yaml").write_text("a: {b: 1, c: 3}\ndeep: {one: {two: [3, 4]}}\n")
    assert find_false(recorded) == []  # a.c is not declared

    Path("versions.yaml").write_text("a: {b: 7, c: 2}\ndeep: {one: {two: [3]}}\n")
    Path("all.yaml").write_text("x: {y: 6}\n")
    assert find_false(recorded) == [
        "all.yaml: x is {'y': 6}, but {'y': 5} in dvc.lock",
        "versions.yaml: a.b is 7, but 1 in dvc.lock",
        "versions.yaml: deep is {'one': {'two': [3]}}, but {'one': {'two': [3, 4]}} in dvc.lock",
    ]


def test_params_that_the_lock_lacks_are_named(recorded: Recorded) -> None:
    declared = PARAMS_OF_TWO_FILES.replace("a.b", "a.b, a.c")
    recorded = replace(recorded, declared=parse_stages(declared, DeclaredStage))

    assert find_false(recorded) == ["dvc.yaml: stage train uses a.c, which dvc.lock does not have"]
