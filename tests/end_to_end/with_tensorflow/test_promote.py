"""Promotion, by the real command, in a clone with an MLflow store of its own."""

import hashlib
import json
import re
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipeline.core.errors import PipelineError
from pipeline.promote import read_level
from pipeline.tracking.models.registry import name_model
from pipeline.tracking.store import EXPERIMENT
from tests.conftest import Clone
from tests.mlflow_store import lose_store

MODEL = name_model("mnist")


class Registry:
    """The registry of a clone, and its champion."""

    def __init__(self, clone: Clone) -> None:
        self.clone = clone
        self.client = mlflow.MlflowClient(f"sqlite:///{clone.path}/mlflow.db")

    def promote(self, *options: str, code: int = 0, **env: str) -> str:
        """Run the command, which must end with `code`, and return what it printed."""
        result = self.clone.run("python", "-m", "pipeline.promote", *options, check=False, **env)
        assert result.returncode == code, result.stdout
        return result.stdout

    def experiment(self) -> str:
        """Return the id of the experiment in which the pipeline logs."""
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        assert experiment
        return str(experiment.experiment_id)

    def versions(self) -> list[ModelVersion]:
        """Return all versions, the oldest first."""
        found = self.client.search_model_versions(f"name = '{MODEL}'")
        return sorted(found, key=lambda version: int(version.version))

    def champion(self) -> str:
        """Return the number of the version that has the alias."""
        return str(self.client.get_model_version_by_alias(MODEL, "champion").version)

    def crown(self, errors: pd.DataFrame, test_md5: str) -> None:
        """Make a champion that was tested on these images with these errors."""
        run = self.client.create_run(self.experiment()).info
        dataset = Dataset("test", test_md5, "local", "{}")
        tags = [InputTag("mlflow.data.context", "test")]
        self.client.log_inputs(run.run_id, datasets=[DatasetInput(dataset, tags)])
        self.client.log_text(run.run_id, errors.to_csv(index=False), "metrics/errors.csv")
        self.client.create_registered_model(MODEL)
        version = self.client.create_model_version(
            MODEL, f"{run.artifact_uri}/model", run.run_id, tags={"commit": "0123456789"}
        )
        self.client.set_registered_model_alias(MODEL, "champion", version.version)


@pytest.fixture(scope="module")
def emptied(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone without a store, which promotion has to make and fill."""
    clone = reproduced.copy_to(tmp_path_factory.mktemp("promote") / "repository")
    lose_store(clone)
    return clone


@pytest.fixture
def registry(emptied: Clone) -> Registry:
    """A registry that knows no model; the state is published."""
    registry = Registry(emptied)
    if not (emptied.path / "mlflow.db").exists():
        emptied.run("python", "-m", "pipeline.publish")
    for model in registry.client.search_registered_models():
        registry.client.delete_registered_model(model.name)
    return registry


@pytest.fixture
def errors(emptied: Clone) -> pd.DataFrame:
    """The errors of the present state."""
    return pd.read_csv(emptied.path / "metrics/errors.csv")


@pytest.fixture
def test_md5(emptied: Clone) -> str:
    images = emptied.path / "data/prepared/test_images.npy"
    return hashlib.md5(images.read_bytes()).hexdigest()


def one_line(output: str) -> str:
    assert output.count("\n") == 1, output
    return output.strip()


def test_first_promotion_makes_the_state_champion_once(emptied: Clone) -> None:
    registry = Registry(emptied)
    output = registry.promote()
    (version,) = registry.versions()
    evaluation = json.loads((emptied.path / "metrics/evaluation.json").read_text())
    commit = emptied.run("git", "rev-parse", "HEAD").stdout.strip()
    assert version.tags["commit"] == commit
    assert version.tags["state"] == (emptied.path / "data/state.txt").read_text().strip()
    for name in ("accuracy", "accuracy_low", "accuracy_high", "loss", "errors", "samples"):
        assert float(version.tags[f"test_{name}"]) == evaluation[name]
    (logged,) = registry.client.search_logged_models([registry.experiment()])
    assert version.source == f"models:/{logged.model_id}"
    assert version.run_id == logged.source_run_id
    assert registry.champion() == "1"
    assert f"{MODEL} version 1 is now the champion: commit {commit[:7]}" in output
    interval = f"({evaluation['accuracy_low']:.4f} to {evaluation['accuracy_high']:.4f})"
    described = registry.client.get_model_version(MODEL, version.version).description or ""
    assert described.startswith(f"Commit {commit[:7]}, test accuracy {evaluation['accuracy']:.4f}")
    assert interval in described

    assert one_line(registry.promote()) == f"{MODEL} version 1 is already the champion"
    assert len(registry.versions()) == 1


def test_model_that_is_not_significantly_worse_becomes_champion(
    registry: Registry, errors: pd.DataFrame, test_md5: str
) -> None:
    registry.crown(errors[5:], test_md5)
    output = registry.promote()  # p = 2 / 2**5
    assert "0 images fixed and 5 broken, p = 0.062 (exact McNemar test, level 0.05)" in output
    assert re.search(r"loss \d\.\d+ \(missing before\)", output)  # of which nothing is recorded
    assert registry.champion() == "2"


def test_significantly_worse_model_is_refused_until_the_level_is_lower(
    registry: Registry, errors: pd.DataFrame, test_md5: str
) -> None:
    registry.crown(errors[6:], test_md5)
    assert one_line(registry.promote(code=1)) == (  # p = 2 / 2**6
        f"{MODEL} version 2 is not promoted, it is significantly worse than the champion, "
        "version 1: 0 images fixed and 6 broken, p = 0.031 (exact McNemar test, level 0.05)"
    )
    assert registry.champion() == "1"

    registry.promote("--level", "0.03")
    assert registry.champion() == "2"
    assert len(registry.versions()) == 2


def test_model_that_was_replaced_in_the_store_is_refused(registry: Registry) -> None:
    (model,) = (registry.clone.path / "mlartifacts").rglob("model.keras")
    content = model.read_bytes()
    model.write_bytes(content[: len(content) // 2])
    try:
        line = one_line(registry.promote(code=1))
    finally:
        model.write_bytes(content)
    assert line.startswith(f"{MODEL} version 1 is not used: the model in MLflow is not the one in ")
    with pytest.raises(MlflowException):
        registry.champion()


def test_significantly_better_model_becomes_champion(
    registry: Registry, errors: pd.DataFrame, test_md5: str
) -> None:
    known = set(errors["image"])
    others = [image for image in range(300) if image not in known][:20]
    more = pd.DataFrame({"image": others, "label": 1, "predicted": 2, "probability": 0.5})
    registry.crown(pd.concat([errors, more]), test_md5)
    assert "20 images fixed and 0 broken" in registry.promote()
    assert registry.champion() == "2"


def test_errors_of_a_published_run_can_be_compared(registry: Registry) -> None:
    """The champion's run is here the one that the pipeline made."""
    registry.promote()
    (version,) = registry.versions()
    run = registry.client.get_run(str(version.run_id)).info
    again = registry.client.create_model_version(MODEL, f"{run.artifact_uri}/model", run.run_id)
    registry.client.set_registered_model_alias(MODEL, "champion", again.version)
    assert "0 images fixed and 0 broken, p = 1 " in registry.promote()
    assert registry.champion() == "1"


def test_champion_of_other_test_images_is_not_compared(
    registry: Registry, errors: pd.DataFrame
) -> None:
    registry.crown(errors, "0" * 32)
    line = one_line(registry.promote(code=1))
    assert "champion, version 1 of mnist, was tested on other images" in line
    assert "test this model on the images of the champion's commit 0123456" in line
    assert "remove the alias champion" in line
    assert registry.champion() == "1"


def test_experiment_is_promoted_by_its_name_once_a_branch_holds_it(registry: Registry) -> None:
    clone = registry.clone
    clone.run("dvc", "exp", "run", "--temp", "--name", "surer", "-S", "evaluate.confidence=0.9")
    before = clone.read()

    refused = one_line(registry.promote("surer", code=1))
    assert "Git: no branch holds surer" in refused
    assert registry.client.search_registered_models() == []
    clone.run(*re.findall("`(.*?)`", refused)[0].replace("NAME", "kept").split())
    output = registry.promote("kept")

    commit = clone.run("git", "rev-parse", "kept").stdout.strip()
    (version,) = registry.versions()
    assert version.tags["commit"] == commit
    assert f"{MODEL} version 1 is now the champion: commit {commit[:7]}" in output
    assert registry.champion() == "1"
    assert clone.read() == before
    assert one_line(registry.promote("surer")) == f"{MODEL} version 1 is already the champion"
    unknown = one_line(registry.promote("nothing", code=1))
    assert unknown == "Git: there is no commit or experiment nothing"


@pytest.mark.parametrize("name", ["params.yaml", "pipeline/core/new.py"])
def test_uncommitted_state_is_refused(registry: Registry, name: str) -> None:
    path = registry.clone.path / name
    before = path.read_bytes() if path.exists() else None
    with path.open("a") as file:
        file.write("# not in Git\n")
    try:
        line = one_line(registry.promote(code=1))
    finally:
        path.write_bytes(before) if before else path.unlink()
    assert line.startswith(f"Git: not committed: {name}; only a committed state")
    assert registry.versions() == []


def test_outputs_that_are_not_checked_out_are_told_so(clone: Clone) -> None:
    """As after `git switch`, without `dvc checkout`."""
    model = clone.path / "models/model.keras"
    model.unlink()
    model.write_bytes(b"of another branch")
    line = one_line(Registry(clone).promote(code=1))
    assert line.startswith("DVC: not as dvc.lock has it: ")
    assert "`dvc checkout` brings back what it has" in line
    clone.run("dvc", "checkout", "--force")
    (clone.path / "notes.txt").write_text("which no stage reads")
    Registry(clone).promote()


def test_state_that_is_not_reproduced_is_refused(clone: Clone) -> None:
    clone.edit_params({"train.seed": 1})
    clone.commit("Another seed")
    line = one_line(Registry(clone).promote(code=1))
    assert line.startswith("DVC: not as dvc.lock has it: train")
    assert "`dvc repro`" in line


@pytest.mark.parametrize("level", ["0", "1", "1.5", "-0.05", "nan", "half"])
def test_level_that_is_none_is_refused(level: str) -> None:
    with pytest.raises(PipelineError, match=f"^--level: must be .* between 0 and 1, got {level}$"):
        read_level(level)


def test_store_that_cannot_be_reached_is_told_in_one_line(registry: Registry) -> None:
    unreachable = f"sqlite:///{Path('/proc/nowhere/mlflow.db')}"
    line = one_line(registry.promote(code=1, MLFLOW_TRACKING_URI=unreachable))
    assert line.startswith("MLflow: ")
