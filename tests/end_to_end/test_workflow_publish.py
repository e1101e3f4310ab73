"""The workflow that publishes what was merged."""

from pathlib import Path

import pytest

from tests.conftest import Clone
from tests.mlflow_store import md5, model_folder, runs_of
from tests.workflows import Runner, check_out, read_step, restore_environment

SET_UP = read_step("publish", "Set up from the lock")
GET_MODEL = read_step("publish", "Get the model")
PUBLISH = read_step("publish", "Publish")


class Merged:
    """The job after a push to main, whose store is `mlflow.db` in its clone."""

    def __init__(self, origin: Clone, folder: Path) -> None:
        clone = check_out(origin, "main", folder / "workspace")
        restore_environment(clone)
        self.runner = Runner(folder, clone)
        self.values = {
            f"secrets.MLFLOW_TRACKING_{name}": "" for name in ("USERNAME", "PASSWORD", "TOKEN")
        } | {
            "secrets.MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
            "secrets.MLFLOW_TRACKING_URI != ''": "true",
        }

    def get_model(self) -> str:
        """Run the step, and return what it prints."""
        result = self.runner.run(GET_MODEL, self.values)
        assert result.returncode == 0, result.output
        return result.output

    def publish(self) -> str:
        """Run the step, and return what it prints."""
        result = self.runner.run(PUBLISH, self.values)
        assert result.returncode == 0, result.output
        return result.output

    def has_model(self, origin: Clone) -> bool:
        """Tell whether the one run has the model that the origin has."""
        (run,) = runs_of(self.runner.clone)
        if not run.outputs or not run.outputs.model_outputs:
            return False
        model = model_folder(self.runner.clone, run) / "data/model.keras"
        return md5(model) == md5(origin.path / "models/model.keras")


@pytest.fixture
def merged(clone: Clone, tmp_path: Path) -> Merged:
    """The job after a push to a repository that has no DVC remote, but an unmerged branch."""
    clone.run("git", "switch", "--quiet", "--create", "unmerged")
    clone.edit_params({"evaluate.confidence": 0.9})
    clone.run("dvc", "repro", PIPELINE_MLFLOW="off")
    clone.commit("Lower the confidence")
    clone.run("git", "switch", "--quiet", "main")
    clone.run("dvc", "checkout")
    (tmp_path / "job").mkdir()
    return Merged(clone, tmp_path / "job")


def test_merged_state_is_published_with_its_model(clone: Clone, merged: Merged) -> None:
    assert merged.runner.run(SET_UP, merged.values).output == ""  # the cache was taken
    assert "Trained" in merged.get_model()
    assert "has the runs of 1 committed states" in merged.publish()
    assert merged.has_model(clone)


def test_other_model_than_the_committed_is_not_published(clone: Clone, merged: Merged) -> None:
    # Another processor makes other bits: here, another thread count does.
    merged.runner.clone.edit_params({"train.threads": 1})
    merged.get_model()
    assert md5(merged.runner.clone.path / "models/model.keras") != md5(
        clone.path / "models/model.keras"
    )
    assert "without its model" in merged.publish()
    assert not merged.has_model(clone)


def add_remote(clone: Clone, path: Path) -> None:
    clone.run("dvc", "remote", "add", "--default", "shared", str(path))
    clone.commit("Name a remote")


def test_model_comes_from_a_dvc_remote(clone: Clone, tmp_path: Path) -> None:
    add_remote(clone, tmp_path / "remote")
    clone.run("dvc", "push")
    (tmp_path / "job").mkdir()
    merged = Merged(clone, tmp_path / "job")
    assert "Trained" not in merged.get_model()
    merged.publish()
    assert merged.has_model(clone)


def test_remote_without_the_model_does_not_stop_it(clone: Clone, tmp_path: Path) -> None:
    add_remote(clone, tmp_path / "remote")
    (tmp_path / "job").mkdir()
    merged = Merged(clone, tmp_path / "job")
    assert "Trained" in merged.get_model()
    merged.publish()
    assert merged.has_model(clone)
