"""The pipeline's MLflow runs: the only module that knows MLflow.

Git and DVC hold the truth, and MLflow shows it: a store that fails costs a warning, never a
training. MLflow is imported late, in the background where time matters: it takes about 2 s.
"""

import csv
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock

from pipeline import files, splits, state
from pipeline.errors import PipelineError
from pipeline.params import Params, flatten
from pipeline.paths import DATASET, ERRORS, EVALUATION, FIGURES, HISTORY, MODEL

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ROOT = Path(os.environ.get("DVC_ROOT", ".")).resolve()
EXPERIMENT = "pipeline"
WAIT_SECONDS = 10  # for a store that is slow or does not answer
REMEDY = "`python -m pipeline.publish` fills in what is missing"
# Tags.
STATE, TRAINING, INCOMPLETE = "state", "training", "incomplete"


class TrainingRun:
    """The run of a training, written in the background while the training goes on.

    Used as a context manager: the run ends as FINISHED, as KILLED or, with the error as a tag,
    as FAILED. It stays tagged as incomplete until `publish` adds the evaluation.
    """

    def __init__(self, params: Params) -> None:
        self._params = params
        self._calls: SimpleQueue[Callable[[MlflowClient, str], object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Show the metrics of an epoch, from 1."""
        self._log_metrics(metrics, step=epoch)

    def finish(self, facts: Mapping[str, float]) -> None:
        """Record facts of this run, such as its duration, and what the training has made."""
        self._log_metrics(facts, step=0)
        training = state.identify(self._params, state.TRAINING)
        self._calls.put(lambda client, run: client.set_tag(run, TRAINING, training))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        status = "FINISHED"
        if kind:
            status = "FAILED" if issubclass(kind, Exception) else "KILLED"
        if status == "FAILED":
            message = f"{kind.__name__}: {error}" if kind else ""
            self._calls.put(lambda client, run: client.set_tag(run, "error", message))
        self._calls.put(lambda client, run: client.set_terminated(run, status))
        self._calls.put(None)
        self._thread.join(WAIT_SECONDS)
        if self._thread.is_alive():
            _warn(f"no answer within {WAIT_SECONDS} s")

    def _log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        now = round(time.time() * 1000)
        self._calls.put(lambda client, run: _log_metrics(client, run, metrics, step, now))

    def _work(self) -> None:
        try:
            client, experiment = _open_store()
            tags = {"mlflow.runName": _name_run(), INCOMPLETE: "not evaluated", **_git_tags()}
            run = client.create_run(experiment, tags=tags).info.run_id
            _log_params(client, run, self._params)
            while call := self._calls.get():
                call(client, run)
        except Exception as error:  # whatever the store raises, training goes on
            _warn(f"{type(error).__name__}: {error}")


def publish(params: Params) -> str:
    """Make the store hold the present state as one finished run, and return what was done.

    The run that its training opened is completed; where no training was needed, a run is made
    from the files. A state that has its run already gets the present figures, and the run of a
    training that only made the same again is removed.

    Raises:
        DataError: a file of the state cannot be read.
        PipelineError: the store does not take it.
    """
    state_id = state.identify(params, state.STATE)
    training_id = state.identify(params, state.TRAINING)
    try:
        client, experiment = _open_store()
        known = _find(client, experiment, {STATE: state_id})
        opened = _find(client, experiment, {TRAINING: training_id, INCOMPLETE: "not evaluated"})
        if known:
            for repeated in opened:
                client.delete_run(repeated.info.run_id)
            run, done = known[0], "reproduced" if opened else "updated"
            client.log_artifacts(run.info.run_id, str(FIGURES), "figures")
        else:
            run = opened[0] if opened else _create_run(client, experiment, params)
            _complete(client, run.info.run_id)
            client.set_tag(run.info.run_id, STATE, state_id)
            client.set_tag(run.info.run_id, TRAINING, training_id)
            if opened:
                client.delete_tag(run.info.run_id, INCOMPLETE)
            client.set_terminated(run.info.run_id, "FINISHED")
            done = "completed" if opened else "created"
    except Exception as error:
        raise PipelineError(f"MLflow: {type(error).__name__}: {error}; {REMEDY}") from error
    return f"MLflow: {done} run {run.info.run_name} ({run.info.run_id})"


def _warn(fault: str) -> None:
    print(f"MLflow: {fault.splitlines()[0]}; training goes on; {REMEDY}", file=sys.stderr)


def _open_store() -> tuple["MlflowClient", str]:
    """Return a client of the store and the id of the experiment, made if there is none."""
    os.environ.pop("MLFLOW_RUN_ID", None)  # else all states would share that run
    import mlflow

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{ROOT / 'mlflow.db'}"
    artifacts = None if "MLFLOW_TRACKING_URI" in os.environ else (ROOT / "mlartifacts").as_uri()
    mlflow.set_tracking_uri(uri)
    lock = ROOT / ".dvc" / "tmp" / "mlflow.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):  # two first uses at once break MLflow's migration of the database
        client = mlflow.MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        if client.get_experiment_by_name(name) is None:
            client.create_experiment(name, artifact_location=artifacts)
    # Logged models go where the global experiment is.
    return client, mlflow.set_experiment(name).experiment_id


def _find(client: "MlflowClient", experiment: str, tags: dict[str, str]) -> list["Run"]:
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    return list(client.search_runs([experiment], wanted))


def _create_run(client: "MlflowClient", experiment: str, params: Params) -> "Run":
    """Create a run with what training would have logged."""
    tags = {"mlflow.runName": _name_run(), **_git_tags()}
    run = client.create_run(experiment, tags=tags)
    _log_params(client, run.info.run_id, params)
    now = round(time.time() * 1000)
    with HISTORY.open(newline="") as file:
        for row in csv.DictReader(file):
            epoch = int(row.pop("epoch"))
            metrics = {name: float(value) for name, value in row.items()}
            _log_metrics(client, run.info.run_id, metrics, epoch, now)
    return run


def _complete(client: "MlflowClient", run: str) -> None:
    """Add what comes after training: test metrics, data sets, figures, metrics files, model."""
    evaluation = json.loads(EVALUATION.read_text())
    per_class = {
        f"{name}.{label}": value
        for name in ("recall", "precision")
        for label, value in evaluation.pop(name).items()
    }
    test_metrics = {f"test_{name}": value for name, value in (evaluation | per_class).items()}
    _log_metrics(client, run, test_metrics, 0, round(time.time() * 1000))
    _log_datasets(client, run)
    client.log_artifacts(run, str(FIGURES), "figures")
    for path in (DATASET, HISTORY, EVALUATION, ERRORS):
        client.log_artifact(run, str(path), "metrics")
    client.set_tag(run, "model_md5", files.md5(MODEL))
    _log_model(run)


def _log_params(client: "MlflowClient", run: str, params: Params) -> None:
    from mlflow.entities import Param

    client.log_batch(run, params=[Param(key, str(value)) for key, value in flatten(params).items()])


def _log_metrics(
    client: "MlflowClient", run: str, metrics: Mapping[str, float], step: int, time_ms: int
) -> None:
    from mlflow.entities import Metric

    client.log_batch(run, metrics=[Metric(k, v, time_ms, step) for k, v in metrics.items()])


def _log_datasets(client: "MlflowClient", run: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = []
    for name, context in zip(splits.NAMES, ("training", "validation", "test"), strict=True):
        images, _ = splits.array_paths(name)
        dataset = Dataset(
            name=name,
            digest=files.md5(images),  # what DVC calls the file by
            source_type="local",
            source=json.dumps({"uri": images.as_posix()}),
        )
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
    client.log_inputs(run, datasets=inputs)


def _log_model(run: str) -> None:
    """Log the model's file as it is, with a signature and an example: without TensorFlow."""
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    from pipeline import keras_flavor

    images = splits.read_split("test").images[:1]
    pixels = TensorSpec(np.dtype(np.uint8), (-1, *images.shape[1:]), name="pixels")
    probabilities = TensorSpec(np.dtype(np.float32), (-1, 10), name="probabilities")
    Model.log(
        artifact_path=None,
        name="model",
        flavor=keras_flavor,
        run_id=run,
        keras_file=MODEL,
        signature=ModelSignature(Schema([pixels]), Schema([probabilities])),
        input_example=np.array(images),
        validate_serving_input=False,  # would load TensorFlow
    )


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return result.stdout.strip()


def _git_tags() -> dict[str, Any]:
    return {
        "mlflow.source.git.commit": _git("rev-parse", "--verify", "--quiet", "HEAD"),
        "mlflow.source.git.branch": _git("branch", "--show-current"),
        "uncommitted": str(bool(_git("status", "--porcelain"))).lower(),
    }


def _name_run() -> str:
    """Return the DVC experiment's name, else branch and commit, with a + for changes to them."""
    if experiment := os.environ.get("DVC_EXP_NAME"):
        return experiment
    tags = _git_tags()
    branch, commit = tags["mlflow.source.git.branch"], tags["mlflow.source.git.commit"]
    changes = "+" if tags["uncommitted"] == "true" else ""
    return f"{branch or 'detached'} {commit[:7]}".strip() + changes
