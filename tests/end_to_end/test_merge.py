"""Two branches that were both reproduced meet, and what docs/review.md says is done."""

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, Clone, make_once

Commands = list[list[str]]
MARKER = b"<<<<<<<"
THEIRS: dict[str, object] = {"evaluate.confidence": 0.9}
OURS: dict[str, object] = {"train.epochs": 1}


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
    clone.run("dvc", "repro", PIPELINE_MLFLOW="off")
    (clone.path / "metrics/seeds.json").write_text(json.dumps({"spread": seed_spread}) + "\n")
    clone.commit(f"Set {params}")


@pytest.fixture(scope="session")
def parted(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone on a branch with a change, while its origin's main has another: read only."""

    def build(path: Path) -> None:
        origin = reproduced.copy_to(path.parent / "origin")
        mine = reproduced.copy_to(path)
        mine.run("git", "remote", "add", "origin", str(origin.path))
        mine.run("git", "switch", "--quiet", "--create", "change")
        change(mine, 0.1, OURS)
        change(origin, 0.2, THEIRS)

    return make_once(tmp_path_factory, "parted", build)


@pytest.fixture
def mine(parted: Clone, tmp_path: Path) -> Clone:
    """A copy of that clone, which fetches from the same origin."""
    clone = parted.copy_to(tmp_path / "repository")
    clone.env["PIPELINE_MLFLOW"] = "off"
    return clone


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


def test_merge_holds_both_changes(mine: Clone, documented: Commands) -> None:
    before = mine.read(("metrics",))
    for command in documented:
        merging = command[:2] == ["git", "merge"]
        result = mine.run(*command, check=not merging)
        if merging:
            assert "CONFLICT (content): Merge conflict in dvc.lock" in result.stdout
            assert mine.read(("metrics",)) == before  # and no mix of two sides
    assert_belongs_together(mine, THEIRS | OURS)
    assert (mine.path / "metrics/seeds.json").read_text() == '{"spread": 0.1}\n'
    parents = mine.run("git", "log", "-1", "--format=%P").stdout.split()
    assert len(parents) == 2


def test_params_that_conflict_are_edited(mine: Clone, documented: Commands) -> None:
    ours: dict[str, object] = {"evaluate.confidence": 0.8}
    change(mine, 0.1, ours)
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
    assert_belongs_together(mine, OURS | ours)
    assert (mine.path / "metrics/seeds.json").read_text() == '{"spread": 0.2}\n'


def test_rebase_holds_both_changes(mine: Clone, documented: Commands) -> None:
    instead = {"merge": ["git", "rebase", "origin/main"], "commit": ["git", "rebase", "--continue"]}
    for command in documented:
        rebased = instead.get(command[1], command)
        mine.run(*rebased, check=rebased[-1] != "origin/main", GIT_EDITOR="true")
    assert_belongs_together(mine, THEIRS | OURS)
    assert len(mine.run("git", "log", "--format=%h", "origin/main..").stdout.split()) == 1
