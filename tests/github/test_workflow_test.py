"""The workflow `test`: all is tested where more than params and metrics was changed."""

from pathlib import Path

import pytest

from tests.workflows import Result, Runner, read_step

COMPARE = read_step("test", "Compare with the base")
FAST = read_step("test", "Check what needs neither dvc nor a training")


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner with a repository of one commit, on the branch `base`."""
    runner = Runner(tmp_path)
    runner.clone.run("git", "init", "--quiet", "--initial-branch", "base")
    commit(runner, "params.yaml", "pipeline/train.py", "metrics/errors.csv", "dvc.lock")
    runner.clone.run("git", "switch", "--quiet", "--create", "head")
    return runner


def commit(runner: Runner, *names: str) -> None:
    for name in names:
        path = runner.clone.path / name
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write("changed\n")
    runner.clone.commit("Change")


def compare(runner: Runner, base: str = "base") -> Result:
    return runner.run(COMPARE, {"github.event.pull_request.base.sha": base})


def test_pull_request_of_params_and_metrics_needs_no_more(runner: Runner) -> None:
    commit(runner, "params.yaml", "metrics/errors.csv", "metrics/figures/loss.png", "dvc.lock")

    assert compare(runner).outputs == {"changed": ""}


@pytest.mark.parametrize("name", ["pipeline/train.py", "tests/test_new.py", "Makefile"])
def test_pull_request_that_changes_more_is_tested_whole(runner: Runner, name: str) -> None:
    commit(runner, "params.yaml", name)

    assert compare(runner).outputs == {"changed": "yes"}


def test_what_the_base_got_meanwhile_does_not_count(runner: Runner) -> None:
    commit(runner, "params.yaml")
    runner.clone.run("git", "switch", "--quiet", "base")
    commit(runner, "pipeline/train.py")
    runner.clone.run("git", "switch", "--quiet", "head")

    assert compare(runner).outputs == {"changed": ""}


def test_push_is_tested_whole(runner: Runner) -> None:
    assert compare(runner, base="").outputs == {"changed": "yes"}


def test_base_that_git_does_not_know_is_an_error(runner: Runner) -> None:
    result = compare(runner, base="1" * 40)

    assert result.returncode != 0
    assert result.outputs == {}


@pytest.mark.parametrize("code", [0, 2])
def test_fast_tests_are_those_of_make(runner: Runner, tmp_path: Path, code: int) -> None:
    runner.add_tool("make", f'#!/bin/sh\necho "$*" > "$LOG"\nexit {code}\n')

    result = runner.run(FAST, {}, LOG=str(tmp_path / "log"))

    assert (tmp_path / "log").read_text() == "lint test-fast\n"
    assert result.returncode == code
