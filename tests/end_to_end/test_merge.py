"""Two branches that were both reproduced meet, and what docs/review.md says is done."""

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, Clone
from tests.workflows import check_out

Commands = list[list[str]]
MARKER = b"<<<<<<<"
pytestmark = pytest.mark.untracked


@pytest.fixture(scope="module")
def documented() -> Commands:
    text = (ROOT / "docs/review.md").read_text()
    section = re.search(r"^## When two branches meet\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert section
    (block,) = re.findall(r"```sh\n(.*?)```", section[1], re.S)
    return [line.split() for line in block.splitlines()]


def change(clone: Clone, seed_spread: float, params: dict[str, object]) -> None:
    """Change params, reproduce, measure the spread over seeds, and commit."""
    clone.edit_params(params)
    clone.run("dvc", "repro")
    (clone.path / "metrics/seeds.json").write_text(json.dumps({"spread": seed_spread}) + "\n")
    clone.commit(f"Set {params}")


def part(origin: Clone, path: Path, theirs: dict[str, object], ours: dict[str, object]) -> Clone:
    """Return a clone on a branch with a change, while the origin's main has another."""
    mine = check_out(origin, "main", path)
    mine.env["PIPELINE_MLFLOW"] = "off"
    mine.run("git", "switch", "--quiet", "--create", "change")
    change(mine, 0.1, ours)
    change(origin, 0.2, theirs)
    return mine


def assert_belongs_together(clone: Clone, params: dict[str, object]) -> None:
    """The commit is the state of these params, and nothing is left of the conflict."""
    assert clone.run("git", "status", "--porcelain").stdout == ""
    assert clone.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"
    sections = YAML(typ="safe").load(clone.path / "dvc.lock")["stages"]["plot"]["params"]
    locked = sections["params.yaml"]
    assert {name: locked[name.split(".")[0]][name.split(".")[1]] for name in params} == params
    assert not any(MARKER in content for content in clone.read(("metrics",)).values())
    history = (clone.path / "metrics/history.csv").read_text().splitlines()
    assert len(history) == 1 + locked["train"]["epochs"]


def test_merge_holds_both_changes(clone: Clone, tmp_path: Path, documented: Commands) -> None:
    theirs: dict[str, object] = {"train.epochs": 1}
    ours: dict[str, object] = {"model.dropout": 0.3}
    mine = part(clone, tmp_path / "mine/repository", theirs, ours)
    before = mine.read(("metrics",))
    for command in documented:
        merging = command[:2] == ["git", "merge"]
        result = mine.run(*command, check=not merging)
        if merging:
            assert "CONFLICT (content): Merge conflict in dvc.lock" in result.stdout
            assert mine.read(("metrics",)) == before  # and no mix of two sides
    assert_belongs_together(mine, theirs | ours)
    assert (mine.path / "metrics/seeds.json").read_text() == '{"spread": 0.1}\n'
    parents = mine.run("git", "log", "-1", "--format=%P").stdout.split()
    assert len(parents) == 2


def test_params_that_conflict_are_edited(
    clone: Clone, tmp_path: Path, documented: Commands
) -> None:
    theirs: dict[str, object] = {"evaluate.confidence": 0.9}
    ours: dict[str, object] = {"evaluate.confidence": 0.8}
    mine = part(clone, tmp_path / "mine/repository", theirs, ours)
    params = (mine.path / "params.yaml").read_text()
    for command in documented:
        if command[:2] == ["git", "merge"]:
            assert mine.run(*command, check=False).returncode
            assert MARKER in (mine.path / "params.yaml").read_bytes()
            refused = mine.run("dvc", "repro", check=False)  # had it been forgotten
            assert refused.returncode
            assert "params.yaml" in refused.stdout
            (mine.path / "params.yaml").write_text(params)
            mine.run("git", "checkout", "--theirs", "metrics/seeds.json")
        else:
            mine.run(*command)
    assert_belongs_together(mine, ours)
    assert (mine.path / "metrics/seeds.json").read_text() == '{"spread": 0.2}\n'


def test_rebase_holds_both_changes(clone: Clone, tmp_path: Path, documented: Commands) -> None:
    theirs: dict[str, object] = {"evaluate.confidence": 0.9}
    ours: dict[str, object] = {"train.epochs": 1}
    mine = part(clone, tmp_path / "mine/repository", theirs, ours)
    instead = {"merge": ["git", "rebase", "origin/main"], "commit": ["git", "rebase", "--continue"]}
    for command in documented:
        rebased = instead.get(command[1], command)
        mine.run(*rebased, check=rebased[-1] != "origin/main", GIT_EDITOR="true")
    assert_belongs_together(mine, theirs | ours)
    assert len(mine.run("git", "log", "--format=%h", "origin/main..").stdout.split()) == 1
