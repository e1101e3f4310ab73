"""The workflow that reviews pull requests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Clone
from tests.workflows import Result, Runner, check_out, read_step, restore_environment

SET_UP = read_step("review", "Set up from the lock")
REPRODUCE = read_step("review", "Reproduce")
COMPARE = read_step("review", "Compare with the base")

# Stands in for the report where a test is about what the step makes of it.
REPORT = """
import os, sys
print(os.environ["REPORT"])
print(sys.argv[1:], file=sys.stderr)
sys.exit(int(os.environ["CODE"]))
"""


class Review:
    """The job of a pull request to main of a clone, with the clone's last commit as its head."""

    def __init__(self, origin: Clone, folder: Path) -> None:
        folder.mkdir()
        head, base = origin.run("git", "rev-parse", "HEAD", "main").stdout.split()
        clone = check_out(origin, head, folder / "workspace")
        restore_environment(clone)
        self.runner = Runner(folder, clone)
        self.values = {
            "github.event.pull_request.base.sha": base,
            "github.event.pull_request.number": "7",
        }

    def reproduce(self) -> str:
        """Run the steps before the comparison, and return what they print."""
        set_up = self.runner.run(SET_UP, self.values)
        assert (set_up.returncode, set_up.output) == (0, "")  # the cache was taken
        reproduce = self.runner.run(REPRODUCE, self.values)
        assert reproduce.returncode == 0, reproduce.output
        return reproduce.output

    def compare(self, **env: str) -> Result:
        """Run the comparison, whatever it ends with."""
        return self.runner.run(COMPARE, self.values, **env)

    def comment(self) -> str:
        """Return what the artifact has for the comment."""
        assert (self.runner.temp / "review/number").read_text() == "7\n"
        return (self.runner.temp / "review/comment.md").read_text()


@pytest.fixture
def propose(clone: Clone, tmp_path: Path) -> Callable[..., Review]:
    """Commit what is changed in the clone to a branch, and let main go on without it."""

    def propose() -> Review:
        clone.run("git", "switch", "--quiet", "--create", "change")
        clone.run("git", "commit", "--all", "--quiet", "--message", "Change")
        clone.run("git", "switch", "--quiet", "main")
        clone.run("git", "commit", "--allow-empty", "--quiet", "--message", "Go on")
        clone.run("git", "checkout", "--quiet", "change")
        return Review(clone, tmp_path / "job")

    return propose


def test_reproduced_change_passes(clone: Clone, propose: Callable[[], Review]) -> None:
    with (clone.path / "pipeline/training/trainer.py").open("a") as module:
        module.write("# Another comment\n")  # what it trains stays the same
    clone.run("dvc", "repro")
    review = propose()
    assert "Trained" in review.reproduce()
    # The same processor makes the same bits.
    assert review.runner.clone.run("git", "status", "--porcelain").stdout == ""
    result = review.compare()
    assert result.returncode == 0, result.output
    assert result.summary.startswith("## No difference on these images\n")
    assert "code: `pipeline/training`" in result.summary
    assert "gave the committed bytes" in result.summary
    assert review.comment() == result.summary


def test_stale_change_fails_and_says_why_everywhere(
    clone: Clone, propose: Callable[[], Review]
) -> None:
    clone.edit_params({"train.epochs": 1})  # and nobody has typed `dvc repro`
    review = propose()
    review.reproduce()
    result = review.compare()
    assert result.returncode == 1
    assert "stale" in result.output
    assert result.summary.startswith("> [!WARNING]\n> ")
    assert "train.epochs" in result.summary
    assert review.comment() == result.summary


def test_refused_params_stop_it_with_their_fault(
    clone: Clone, propose: Callable[[], Review]
) -> None:
    clone.edit_params({"train.epochs": 0})
    review = propose()
    result = review.runner.run(REPRODUCE, review.values)
    assert result.returncode
    assert "params.yaml: train.epochs: must be at least 1, got 0" in result.output
    assert not (review.runner.temp / "review").exists()


@pytest.fixture
def review(clone: Clone, propose: Callable[[], Review]) -> Review:
    """A review with a stand-in for the report."""
    (clone.path / "README.md").write_text("A change\n")
    review = propose()
    (review.runner.clone.path / "pipeline/report.py").write_text(REPORT)
    return review


def test_comparison_is_with_where_the_branches_part(clone: Clone, review: Review) -> None:
    result = review.compare(REPORT="# Report", CODE="0")
    (parting,) = clone.run("git", "merge-base", "main", "change").stdout.split()
    assert parting != review.values["github.event.pull_request.base.sha"]
    assert f"'{parting}', '--reproduced'" in result.output
    assert (result.returncode, result.summary) == (0, "# Report\n")
    assert review.comment() == "# Report\n"


@pytest.mark.parametrize(("code", "report"), [("1", "# Report"), ("2", "")])
def test_failure_is_passed_on_with_its_reason(review: Review, code: str, report: str) -> None:
    result = review.compare(REPORT=report, CODE=code)
    assert result.returncode == int(code)
    assert result.summary.startswith("> [!WARNING]\n> [")
    assert result.summary.endswith(f"\n\n{report}\n")
    assert review.comment() == result.summary


def test_summary_is_cut_to_what_github_takes(review: Review) -> None:
    script = review.runner.clone.path / "pipeline/report.py"
    script.write_text("print('long ' * 300_000)\n")
    result = review.compare()
    assert result.returncode == 0
    assert 900_000 < len(result.summary) < 1_048_576


def test_base_that_is_not_there_fails(review: Review) -> None:
    review.values["github.event.pull_request.base.sha"] = "0" * 40
    assert review.compare(REPORT="", CODE="0").returncode
    assert not (review.runner.temp / "review/comment.md").exists()
