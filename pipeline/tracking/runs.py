"""What every run begins and ends with, and how runs are found again."""

import platform
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import psutil

from pipeline.provenance.origin import Origin
from pipeline.tracking.processes import identify_process, is_running

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

FALSE_TAG = "false_state"  # why the stages were not run as it is noted; such a run counts nowhere
STATE_TAG = "state"  # its id, on the one complete run that each state has
TRAINING_TAG = "training"  # the id of what the training was given
KEY_TAG = "training_key"  # the digest of all that decides what it makes, such as code
MODEL_TAG = "model_md5"
SWEEP_TAG = "sweep"  # its id, on the parent of its trials
RECIPE_TAG = "recipe"  # its id, on the parent of its runs, which is no state
INCOMPLETE_TAG, NOT_EVALUATED = "incomplete", "not evaluated"
UNCOMMITTED_TAG = "uncommitted"
ERROR_TAG = "error"  # on a run that failed
HOST_TAG, PROCESS_TAG = "host", "process"
DESCRIPTION_TAG = "mlflow.note.content"  # shown above the run
METRICS_PER_CALL = 1000  # a limit of MLflow


def begin(
    client: "MlflowClient",
    experiment: str,
    params: Mapping[str, object],
    origin: Origin,
    tags: Mapping[str, str],
    seconds: float | None,
) -> str:
    """Create a run, which is incomplete until it is published, and return its id.

    It started at a time in seconds since 1970, or now.
    """
    common = {
        INCOMPLETE_TAG: NOT_EVALUATED,
        "mlflow.source.name": "dvc repro",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": origin.user,
    }
    run: str = client.create_run(experiment, to_ms(seconds), common | dict(tags)).info.run_id
    log_params(client, run, params)
    set_origin(client, run, origin, origin.name)
    return run


def find_interrupted(
    client: "MlflowClient", experiment: str, training: str, key: str
) -> "list[Run]":
    """Return the runs that went no further than the end of training, the newest first.

    They were killed or failed, or they were done, but DVC was not told or nothing evaluated them.
    """
    known = {TRAINING_TAG: training, KEY_TAG: key, INCOMPLETE_TAG: NOT_EVALUATED, **host_tag()}
    return [
        run
        for run in find(client, experiment, known)
        if run.info.status in ("FINISHED", "KILLED", "FAILED") or is_abandoned(run)
    ]


def reopen(client: "MlflowClient", run: "Run", tags: Mapping[str, str]) -> None:
    """Resume an interrupted run, in the process that `tags` name."""
    from mlflow.entities import RunTag

    run_id = run.info.run_id
    client.update_run(run_id, status="RUNNING")
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    if ERROR_TAG in run.data.tags:
        client.delete_tag(run_id, ERROR_TAG)


def set_origin(client: "MlflowClient", run: str, origin: Origin, name: str) -> None:
    """Name a run, and tag it with where its state comes from."""
    from mlflow.entities import RunTag

    tags = {
        "mlflow.source.git.commit": origin.commit,
        "mlflow.source.git.branch": origin.branch,
        UNCOMMITTED_TAG: str(origin.uncommitted).lower(),
        "dvc_experiment": origin.experiment,
    }
    client.update_run(run, name=name)
    client.log_batch(run, tags=[RunTag(key, value) for key, value in tags.items() if value])


def log_params(client: "MlflowClient", run: str, params: Mapping[str, object]) -> None:
    """Log params by their dotted names."""
    from mlflow.entities import Param

    client.log_batch(run, params=[Param(key, str(value)) for key, value in params.items()])


def log_metrics(
    client: "MlflowClient",
    run: str,
    metrics: Mapping[str, float],
    step: int = 0,
    seconds: float | None = None,
) -> None:
    """Log metrics that were taken at a time in seconds since 1970, or now."""
    log(client, run, [metric(name, value, step, seconds) for name, value in metrics.items()])


def metric(
    name: str,
    value: float,
    step: int,
    seconds: float | None,
    model_id: str | None = None,
    dataset: tuple[str | None, str | None] = (None, None),
) -> "Metric":
    """Return a metric of a run and, where there is one, of a model.

    Args:
        name: of the metric.
        value: of it.
        step: such as the epoch.
        seconds: since 1970; None is now.
        model_id: of the model.
        dataset: name and digest of the data on which the model was measured.
    """
    from mlflow.entities import Metric

    return Metric(name, value, to_ms(seconds), step, model_id, *dataset)


def to_ms(seconds: float | None) -> int:
    """Return a time in seconds since 1970, or the present one, as MLflow counts."""
    return round(1000 * (time.time() if seconds is None else seconds))


def log(client: "MlflowClient", run: str, metrics: "Sequence[Metric]") -> None:
    """Log any number of metrics."""
    for first in range(0, len(metrics), METRICS_PER_CALL):
        client.log_batch(run, metrics=metrics[first : first + METRICS_PER_CALL])


def end(
    client: "MlflowClient",
    run: str,
    status: str,
    error: str = "",
    seconds: float | None = None,
) -> None:
    """End a run as FINISHED, KILLED or, with the error as a tag, as FAILED.

    It ended at a time in seconds since 1970, or now.
    """
    if error:
        client.set_tag(run, ERROR_TAG, error)
    client.set_terminated(run, status, to_ms(seconds))


def find(
    client: "MlflowClient", experiment: str, tags: Mapping[str, str], also: str = ""
) -> "list[Run]":
    """Return the runs with these tags for which the filter `also` holds, the newest first."""
    wanted = [f"tags.`{key}` = '{value}'" for key, value in tags.items()] + [also] * bool(also)
    found: list[Run] = []
    page = None
    while True:
        runs = client.search_runs([experiment], " and ".join(wanted), page_token=page)
        found += runs
        page = runs.token
        if not page:
            return found


def host_tag() -> dict[str, str]:
    """Return the tag of runs that are written on this machine."""
    return {HOST_TAG: platform.node()}


def process_tags() -> dict[str, str]:
    """Return the tags of a run that lives with this process."""
    return {**host_tag(), PROCESS_TAG: identify_process(psutil.Process())}


def is_abandoned(run: "Run") -> bool:
    """Tell whether a run is still open, but was written by a process of this machine that ended."""
    tags = run.data.tags
    if run.info.status != "RUNNING" or tags.get(HOST_TAG) != platform.node():
        return False
    return PROCESS_TAG in tags and not is_running(tags[PROCESS_TAG])


def describe(done: str, run: "Run") -> str:
    """Say in a line what was done with a run."""
    return f"MLflow: {done} run {run.info.run_name} ({run.info.run_id})"
