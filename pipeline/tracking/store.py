"""The MLflow store, and what every run in it begins with."""

import logging
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from ruamel.yaml import YAML

from pipeline.params import Params, flatten
from pipeline.paths import PARAMS

if TYPE_CHECKING:
    from mlflow import MlflowClient

ROOT = Path(os.environ.get("DVC_ROOT", ".")).resolve()
EXPERIMENT = "pipeline"
REMEDY = "`python -m pipeline.publish` fills in what is missing"
STATE_TAG, TRAINING_TAG, INCOMPLETE_TAG = "state", "training", "incomplete"
NOT_EVALUATED = "not evaluated"  # value of INCOMPLETE_TAG


def open_store() -> tuple["MlflowClient", str]:
    """Return a client of the store and the id of the experiment, made if there is none."""
    os.environ.pop("MLFLOW_RUN_ID", None)  # else all states would share that run
    import mlflow

    # What fails is raised, too, and said in one line; MLflow would log a traceback before.
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)

    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{ROOT / 'mlflow.db'}"
    # A server chooses by itself; for a database, MLflow would take the current folder.
    artifacts = (ROOT / "mlartifacts").as_uri() if uri.startswith("sqlite:") else None
    mlflow.set_tracking_uri(uri)
    lock = ROOT / ".dvc" / "tmp" / "mlflow.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(
        lock, timeout=60
    ):  # two first uses at once break MLflow's migration of the database
        client = mlflow.MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        if client.get_experiment_by_name(name) is None:
            client.create_experiment(name, artifact_location=artifacts)
    # Logged models go where the global experiment is.
    return client, mlflow.set_experiment(name).experiment_id


def create_run(
    client: "MlflowClient", experiment: str, params: Params, tags: dict[str, str]
) -> str:
    """Create a run with all params and `tags`, and return its id."""
    from mlflow.entities import Param

    run: str = client.create_run(experiment, tags=tags).info.run_id
    client.log_batch(run, params=[Param(key, str(value)) for key, value in flatten(params).items()])
    name_run(client, run, params)
    return run


def name_run(client: "MlflowClient", run: str, params: Params) -> None:
    """Name a run after the experiment or what is special about it, and tag it with its commit.

    While a stage runs, DVC has removed its outputs: only afterwards can Git tell whether they are
    those of the commit.
    """
    commit = _git("rev-parse", "--verify", "--quiet", "HEAD")
    branch = _git("branch", "--show-current")
    uncommitted = bool(_git("--no-optional-locks", "status", "--porcelain"))
    name = (
        os.environ.get("DVC_EXP_NAME")
        or _describe_changes(params)
        or f"{branch or 'detached'} {commit[:7]}".strip() + "+" * uncommitted
    )
    client.update_run(run, name=name)
    client.set_tag(run, "mlflow.source.git.commit", commit)
    client.set_tag(run, "mlflow.source.git.branch", branch)
    client.set_tag(run, "uncommitted", str(uncommitted).lower())


def log_metrics(
    client: "MlflowClient",
    run: str,
    metrics: Mapping[str, float],
    step: int = 0,
    seconds: float | None = None,
) -> None:
    """Log metrics that were taken at a time in seconds since 1970, or now."""
    from mlflow.entities import Metric

    time_ms = round(1000 * (time.time() if seconds is None else seconds))
    client.log_batch(run, metrics=[Metric(k, v, time_ms, step) for k, v in metrics.items()])


def _describe_changes(params: Params) -> str:
    """Return the params that differ from those of the commit, such as `epochs=20, dropout=0.3`."""
    text = _git("show", f"HEAD:./{PARAMS}")
    if not text:
        return ""  # nothing is committed
    committed = YAML(typ="safe").load(text)
    return ", ".join(
        f"{key}={value}"
        for section, values in params.model_dump().items()
        for key, value in values.items()
        if committed.get(section, {}).get(key) != value
    )


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return result.stdout.strip()
