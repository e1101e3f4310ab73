"""`make compare` in a repository with DVC experiments."""

import sys
from pathlib import Path

from tests.conftest import Clone
from tests.review_repository import ReviewRepository


def keep_as_experiment(repo: Clone, name: str) -> None:
    """Make a DVC experiment of what was changed, and take it back."""
    base = repo.run("git", "rev-parse", "HEAD").stdout.strip()
    repo.commit(name)
    repo.run("git", "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", "HEAD")
    repo.run("git", "reset", "--quiet", "--hard", base)


def test_experiments_and_the_working_tree_are_compared_with_head(tmp_path: Path) -> None:
    (tmp_path / "repository").mkdir()
    repo = ReviewRepository(tmp_path / "repository")
    repo.edit_params({"train.epochs": 20})
    repo.change_errors(fixed=100)
    keep_as_experiment(repo, "long-run")
    repo.edit_params({"model.dropout": 0.5})
    output = repo.run(sys.executable, "-m", "pipeline.experiments.compare").stdout
    header, first, *others = output.splitlines()
    assert header.split() == [
        "what",
        "differs",
        "from",
        "HEAD",
        "experiment",
        "test",
        "accuracy",
        "errors",
    ]
    assert first.split()[:3] == ["epochs=20", "long-run", "0.9678"]
    assert {line.split("  ")[0] or line.split()[0] for line in others} == {"HEAD", "dropout=0.5"}
