"""Code and params are stale or not as DVC would say in a clone."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from pipeline.provenance.recorded import DeclaredStage, LockedStage, Recorded, parse_stages
from pipeline.provenance.truth import digest, find_false

LEFT = ("__pycache__/a.pyc", ".ipynb_checkpoints/a.py", "a.py~", ".a.py.swp", ".DS_Store")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of code in the current folder, with what editors and Python leave."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / ".dvcignore", tmp_path)
    folder = Path("pipeline/model")
    for name in ("__init__.py", "network.py", "parts/block.py", *LEFT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    return folder


def ask_dvc(folder: Path, there: Path) -> str:
    """Return the MD5 by which DVC calls a copy of a folder, in a repository of its own."""
    shutil.copytree(folder.parent, there / folder.parent)
    shutil.copy(".dvcignore", there)
    with Repo.init(str(there), no_scm=True) as repo:
        repo.add(str(there / folder))
    pointer = YAML(typ="safe").load(there / f"{folder}.dvc")
    md5: str = pointer["outs"][0]["md5"]
    return md5


def test_folder_of_a_commit_has_the_md5_that_dvc_gives_it(code: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()

    assert digest(tmp_path, code) == ask_dvc(code, there)


def test_in_the_working_tree_what_git_tracks_counts(code: Path, tmp_path: Path) -> None:
    as_committed = digest(tmp_path, code)
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(["git", "add", "--", *(str(path) for path in code.rglob("*.py"))], check=True)
    subprocess.run(["git", "rm", "-rq", "--cached", str(code / ".ipynb_checkpoints")], check=True)
    (code / "notes.txt").write_text("for me")

    assert digest(Path(), code) == as_committed

    (code / "network.py").write_text("changed")
    assert digest(Path(), code) != as_committed


def test_what_is_not_there_has_no_md5(tmp_path: Path) -> None:
    assert digest(tmp_path, "pipeline/model") is None


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
