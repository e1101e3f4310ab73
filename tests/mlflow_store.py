"""What the tests read from an MLflow store, and how they lose it."""

import hashlib
import os
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
from mlflow.entities import Run

from pipeline.tracking.store import EXPERIMENT
from tests.conftest import Clone

# A pooled connection would go on reading a database that was removed.
os.environ["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] = "NullPool"

EPOCH_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")
FACTS = ("training_seconds", "images_per_second", "peak_memory_mb", "network_weights")


def client_of(clone: Clone, name: str = "mlflow.db") -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{clone.path}/{name}")


def lose_store(clone: Clone) -> None:
    (clone.path / "mlflow.db").unlink()
    shutil.rmtree(clone.path / "mlartifacts")


def runs_of(clone: Clone, experiment: str = EXPERIMENT) -> list[Run]:
    """Return all runs, the newest first."""
    client = client_of(clone)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id]))


def run_named(clone: Clone, name: str) -> Run:
    (run,) = (run for run in runs_of(clone) if run.info.run_name == name)
    return run


def state_of(clone: Clone) -> str:
    """Return the id of the present state, as stage `plot` has written it."""
    return (clone.path / "data/state.txt").read_text().strip()


def epochs_of(clone: Clone, run: Run, name: str) -> dict[int, float]:
    """Return the values of a metric by epoch, each of which was logged once."""
    points = client_of(clone).get_metric_history(run.info.run_id, name)
    values = {point.step: point.value for point in points}
    assert len(values) == len(points)
    return values


def artifacts_of(run: Run) -> dict[str, bytes]:
    """Return the content of a run's artifacts by their paths."""
    folder = _local(run.info.artifact_uri)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def model_of(run: Run) -> str:
    """Return the id of a run's one model."""
    assert run.outputs
    (output,) = run.outputs.model_outputs
    model_id: str = output.model_id
    return model_id


def model_folder(clone: Clone, run: Run) -> Path:
    """Return the folder of a run's one model."""
    return _local(client_of(clone).get_logged_model(model_of(run)).artifact_location)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def _local(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))
