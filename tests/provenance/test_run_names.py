"""What tells the run of a state from others: the params that it changes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.core.params import PARAMS
from pipeline.provenance.origin import describe_changes, present_origin
from pipeline.provenance.params import load_params
from tests.conftest import FROZEN, edit_params


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


@pytest.fixture
def branches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository with a branch on each side of which another param was changed."""
    monkeypatch.chdir(tmp_path)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.com")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git("init", "--quiet", "--initial-branch", "main")
    shutil.copy(FROZEN["params.yaml"], PARAMS)
    git("add", ".")
    git("commit", "--message", "Base")
    git("branch", "topic")
    for branch, change in (("main", {"model.dropout": 0.3}), ("topic", {"train.epochs": 20})):
        git("switch", branch)
        edit_params(PARAMS, change)
        git("commit", "--all", "--message", branch)
    git("switch", "main")


def test_section_is_named_where_two_have_such_a_param() -> None:
    base = {"augmentation.shift": 0.0, "evaluate.shift": 2, "train.epochs": 10}
    params = {"augmentation.shift": 0.1, "evaluate.shift": 2, "train.epochs": 20}
    assert describe_changes(params, base) == "augmentation.shift=0.1, epochs=20"
    assert describe_changes(base | {"evaluate.shift": 3}, base) == "evaluate.shift=3"


@pytest.mark.usefixtures("branches")
def test_merge_is_named_after_what_both_branches_changed() -> None:
    assert present_origin(load_params()).changes == "dropout=0.3"
    git("merge", "--no-commit", "topic")
    both = present_origin(load_params())
    assert (both.changes, both.uncommitted) == ("dropout=0.3, epochs=20", True)
    git("commit", "--no-edit")
    both = present_origin(load_params())
    assert (both.changes, both.uncommitted) == ("dropout=0.3, epochs=20", False)
