"""Where the runs are: the store that MLflow's variables name, or one in the repository."""

import logging
import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.core.errors import PipelineError
from pipeline.core.imports import importing
from pipeline.core.package import command
from pipeline.provenance.git import ROOT
from pipeline.tracking.database import (
    ARTIFACTS_TAG,
    create_database,
    follow_artifacts,
    is_to_be_made,
    uri_of,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient as MlflowClient
    from mlflow.entities import Experiment

# What the project is called in a store; another name is another experiment, or other models.
EXPERIMENT = "pipeline"
MODEL_PREFIX = ""  # of the registered models; what follows is the name of their data set
ARTIFACTS = ROOT / "mlartifacts"
SQLITE = "sqlite:///"
FILE = "file:"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
# Find out in seconds, not in minutes, that a server does not answer.
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
REMEDY = f"`{command('publish')}` fills in what is missing"


def enabled() -> bool:
    """Tell whether MLflow is wanted."""
    return os.environ.get("PIPELINE_MLFLOW") != "off"


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, or that of `mlflow.db`; a relative path starts at the root.

    So stages that DVC runs in a copy of the working tree find the same store.
    """
    path = database()
    if path:
        return uri_of(path)
    uri = os.environ["MLFLOW_TRACKING_URI"]
    folder = uri.removeprefix(FILE)
    is_folder = ":" not in folder and not folder.startswith(("/", "databricks"))
    return (ROOT / folder).as_uri() if is_folder else uri


def shown_uri() -> str:
    """Return the same address without a password, for messages."""
    uri = tracking_uri()
    place = urlsplit(uri).netloc
    return uri.replace(place, place.rpartition("@")[2], 1) if "@" in place else uri


def database() -> Path | None:
    """Return the SQLite file that is the store, or None where it is something else."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    path = uri.removeprefix(SQLITE)
    is_path = path not in {uri, ""} and not path.startswith(FILE)
    return ROOT / path if is_path else None


def import_mlflow() -> ModuleType:
    """Import MLflow, which takes about 2 s, with all that the store needs, and keep it quiet."""
    os.environ.pop("MLFLOW_RUN_ID", None)  # otherwise all states would share that run
    # What is said takes a line or two: no bars for small files.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    with importing():
        import mlflow
        import mlflow.models

        if database():
            import mlflow.store.tracking.sqlalchemy_store

    # What fails is raised, too, and said in one line; MLflow would log a traceback before.
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return mlflow


def open_store() -> tuple["MlflowClient", str]:
    """Return a client of the store and the id of the experiment; what there is not, is made.

    Raises:
        PipelineError: the experiment is deleted, or there is none with this id.
    """
    mlflow = import_mlflow()
    prepare_database()
    mlflow.set_tracking_uri(tracking_uri())
    client = mlflow.MlflowClient()
    unset = IMPATIENT.keys() - os.environ.keys()
    os.environ.update({name: IMPATIENT[name] for name in unset})
    try:
        return client, _open_experiment(client).experiment_id
    finally:  # once it has answered, MLflow's own patience lets runs outlive a new start of it
        for name in unset:
            del os.environ[name]


def find_experiment() -> tuple["MlflowClient", str] | None:
    """Return a client of the store and the id of the experiment, where there is one already.

    Nothing is made, and MLflow does not try for long, unless its settings say so.
    """
    path = database()
    if path and is_to_be_made(path):
        return None
    mlflow = import_mlflow()
    prepare_database()
    for variable, value in IMPATIENT.items():
        os.environ.setdefault(variable, value)
    mlflow.set_tracking_uri(tracking_uri())
    client = mlflow.MlflowClient()
    found = _look_up(client)
    return (client, found.experiment_id) if found else None


def prepare_database() -> None:
    """Make the database if there is none; where it is in the repository, so are its artifacts."""
    path = database()
    if not path:
        return
    is_ours = path.is_relative_to(ROOT)
    if is_to_be_made(path):
        beside = path.with_name(f"{path.name}.lock")
        create_database(path, ARTIFACTS, ROOT / ".dvc/tmp/mlflow.lock" if is_ours else beside)
    if is_ours:
        follow_artifacts(path, ARTIFACTS)


def _look_up(client: "MlflowClient") -> "Experiment | None":
    """Return the experiment that MLflow's variables name, or that of the project, if there is."""
    name, identifier = (os.environ.get(f"MLFLOW_EXPERIMENT_{key}") for key in ("NAME", "ID"))
    if identifier and not name:
        return client.get_experiment(identifier)
    return client.get_experiment_by_name(name or EXPERIMENT)


def _open_experiment(client: "MlflowClient") -> "Experiment":
    from mlflow.exceptions import MlflowException

    experiment = _look_up(client)
    if experiment is None:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        # A server chooses by itself; for a database, MLflow would take the current folder.
        artifacts, tags = None, {}
        if tracking_uri().startswith(DATABASES):
            artifacts, tags = ARTIFACTS.as_uri(), {ARTIFACTS_TAG: "in the repository"}
        try:
            return client.get_experiment(client.create_experiment(name, artifacts, tags))
        except MlflowException:
            experiment = client.get_experiment_by_name(name)  # another process was first
            if experiment is None:
                raise
    if experiment.lifecycle_stage not in ("active", "deleted"):
        raise PipelineError(f"{shown_uri()}: does not answer as an MLflow server does")
    if experiment.lifecycle_stage == "deleted":
        raise PipelineError(
            f"MLflow: experiment {experiment.name} is deleted; `mlflow experiments restore "
            f"--experiment-id {experiment.experiment_id}` brings it back, MLFLOW_EXPERIMENT_NAME "
            "names another one"
        )
    return experiment
