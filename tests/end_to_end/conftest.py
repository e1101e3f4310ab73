"""What several of these tests share; each of them gets the marker `end_to_end`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Clone, make_clone, make_once
from tests.ray_nodes import Cluster

# What makes each state of `five_states` but the first, and the branch that it is committed to.
STATES: dict[str, tuple[str, dict[str, object]]] = {
    "epochs=3": ("main", {"train.epochs": 3}),
    "dropout=0.3": ("dropout", {"model.dropout": 0.3}),
    "confidence=0.8": ("dropout", {"evaluate.confidence": 0.8}),
    "learning_rate=0.01": ("main", {"train.learning_rate": 0.01}),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, so that a run can leave them out, or run nothing else."""
    for item in items:  # of all folders: pytest asks every conftest about all tests
        if Path(__file__).parent in item.path.parents:
            item.add_marker("end_to_end")


def reproduce(clone: Clone) -> None:
    """Run the pipeline, and commit what comes of it."""
    clone.run("dvc", "repro")
    clone.commit("Reproduce")


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone after `dvc repro` with small counts, committed; all workers share it: read only.

    The folder `with_tensorflow` has another one, in which the network was trained.
    """
    return make_once(tmp_path_factory, "reproduced", lambda path: reproduce(make_clone(path)))


@pytest.fixture
def clone(request: pytest.FixtureRequest, reproduced: Clone, tmp_path: Path) -> Clone:
    """A copy of the reproduced clone that the test may change."""
    clone = reproduced.copy_to(tmp_path / "repository")
    if request.node.get_closest_marker("untracked"):
        clone.env["PIPELINE_MLFLOW"] = "off"
    return clone


@pytest.fixture(scope="session")
def five_states(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone that went through five states on two branches, all committed: read only.

    The first is that of `reproduced`; the others are called as their runs and commits are.
    """

    def build(path: Path) -> None:
        clone = reproduced.copy_to(path)
        clone.run("git", "branch", "dropout")
        for name, (branch, changes) in STATES.items():
            clone.run("git", "switch", "--quiet", branch)
            clone.run("dvc", "checkout")
            clone.edit_params(changes)
            clone.run("dvc", "repro")
            clone.commit(name)
        (clone.path / "NOTES.md").write_text("A commit without a state of its own.\n")
        clone.commit("Add notes")
        clone.run("python", "-m", "pipeline.publish")

    return make_once(tmp_path_factory, "five-states", build)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A Ray cluster to which the test adds nodes."""
    made = Cluster()
    try:
        yield made
    finally:
        made.stop()
