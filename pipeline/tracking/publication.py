"""One complete run for each state, however it came about."""

import csv
import json
from collections.abc import Collection, Iterator
from io import StringIO
from typing import TYPE_CHECKING

from pipeline import files, splits
from pipeline.errors import DataError
from pipeline.params import Params
from pipeline.paths import DATASET, ERRORS, EVALUATION, FIGURES, HISTORY, MODEL
from pipeline.tracking import runs, store
from pipeline.tracking.history import committed_snapshots
from pipeline.tracking.logged_model import attach_model
from pipeline.tracking.snapshot import Snapshot, present_snapshot

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Metric, Run

CONTEXTS = {"train": "training", "val": "validation", "test": "test"}


def publish_present(params: Params) -> str:
    """Make the store hold the present state as one complete run, and say what was done.

    Raises:
        DataError: a file of the state cannot be read.
        PipelineError: the store does not take it.
    """
    with store.plain_errors():
        client, experiment = store.open_store()
        try:
            snapshot = present_snapshot(params)
        except DataError:  # perhaps since its training was killed
            _close_abandoned(client, experiment)
            raise
        line = publish(client, experiment, snapshot)
        _close_abandoned(client, experiment)
    return line


def publish_commits() -> Iterator[str]:
    """Publish every state that was committed, and say for each what was done.

    Raises:
        PipelineError: the store does not take it.
    """
    faults: list[str] = []
    states = set()
    with store.plain_errors():
        client, experiment = store.open_store()
        for snapshot in committed_snapshots(faults):
            if snapshot.state_id not in states:
                yield publish(client, experiment, snapshot)
                states.add(snapshot.state_id)
        _close_abandoned(client, experiment)
    yield from faults
    yield f"MLflow: has the runs of {len(states)} committed states"


def publish(client: "MlflowClient", experiment: str, snapshot: Snapshot) -> str:
    """Make the store hold a state as one complete run, and say what was done.

    The run that its training opened is completed; where no training was needed, or it could not
    be followed, a run is made from the files. What the run of a known state lacks is added, and
    the run of a training that only made the same again is removed.

    Raises:
        DataError: a file of the state cannot be read.
        Exception: whatever a store raises that does not take it.
    """
    known = runs.find(client, experiment, {runs.STATE_TAG: snapshot.state_id})
    opened = _find_opened(client, experiment, snapshot, is_known=bool(known))
    if known or opened:
        run, *repeated = [*known, *opened]
        done = "completed" if not known else "reproduced" if repeated else "refreshed"
    else:
        tags = {runs.TRAINING_TAG: snapshot.training_id, **runs.process_tags()}
        run_id = runs.begin(client, experiment, snapshot.params, snapshot.origin, tags)
        run, repeated, done = client.get_run(run_id), [], "created"
    has_model = _add_missing(client, experiment, run, snapshot)
    _settle(client, run, snapshot)
    for other in repeated:
        client.delete_run(other.info.run_id)
    line = runs.describe(done, client.get_run(run.info.run_id))
    return line if has_model else f"{line} without its model, which is not in DVC's cache"


def _close_abandoned(client: "MlflowClient", experiment: str) -> None:
    """Mark the runs of this machine whose process was killed."""
    running = runs.find(client, experiment, runs.host_tag(), "attributes.status = 'RUNNING'")
    for run in running:
        if runs.is_abandoned(run):
            client.set_terminated(run.info.run_id, "KILLED")


def _find_opened(
    client: "MlflowClient", experiment: str, snapshot: Snapshot, is_known: bool
) -> "list[Run]":
    """Return the incomplete runs of trainings that made this state.

    If there is no other, the last that was left open is taken for one: it is all that was written
    before the store failed, while the training went on. The rest are of trainings that were killed.
    """
    incomplete = {runs.TRAINING_TAG: snapshot.training_id, runs.INCOMPLETE_TAG: runs.NOT_EVALUATED}
    model_md5 = snapshot.digests[MODEL]
    found = runs.find(client, experiment, incomplete)
    trained = [run for run in found if run.data.tags.get(runs.MODEL_TAG) == model_md5]
    if trained or is_known:
        return trained
    return [run for run in found if runs.is_abandoned(run)][:1]


def _add_missing(client: "MlflowClient", experiment: str, run: "Run", snapshot: Snapshot) -> bool:
    """Add what the run lacks, and the present files; tell whether it has a model."""
    run_id = run.info.run_id
    models = run.outputs.model_outputs if run.outputs else []
    model_id = models[0].model_id if models else attach_model(client, experiment, run_id, snapshot)
    logged = {point.step for point in client.get_metric_history(run_id, "loss")}
    seconds = snapshot.origin.seconds
    metrics = _epoch_metrics(snapshot, seconds, logged)
    if "test_accuracy" not in run.data.metrics:
        metrics += _test_metrics(snapshot, seconds, model_id)
    runs.log(client, run_id, metrics)
    if not (run.inputs and run.inputs.dataset_inputs):
        client.log_inputs(run_id, datasets=_dataset_inputs(snapshot))
    if snapshot.is_present or runs.STATE_TAG not in run.data.tags:
        client.log_artifacts(run_id, str(snapshot.folder / FIGURES), "figures")
        for path in (DATASET, HISTORY, EVALUATION, ERRORS):
            client.log_artifact(run_id, str(snapshot.folder / path), "metrics")
    return model_id is not None


def _epoch_metrics(
    snapshot: Snapshot, seconds: float | None, logged: Collection[int]
) -> "list[Metric]":
    rows = files.read_text(
        snapshot.folder / HISTORY, lambda text: [*csv.DictReader(StringIO(text))]
    )
    return [
        runs.metric(name, float(value), int(row["epoch"]), seconds)
        for row in rows
        if int(row["epoch"]) not in logged
        for name, value in row.items()
        if name != "epoch"
    ]


def _test_metrics(
    snapshot: Snapshot, seconds: float | None, model_id: str | None
) -> "list[Metric]":
    evaluation = files.read_text(snapshot.folder / EVALUATION, json.loads)
    for name in ("recall", "precision"):
        per_class = evaluation.pop(name)
        evaluation |= {f"{name}.{label}": value for label, value in per_class.items()}
    return [
        runs.metric(f"test_{name}", value, 0, seconds, model_id)
        for name, value in evaluation.items()
    ]


def _dataset_inputs(snapshot: Snapshot) -> "list[DatasetInput]":
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = []
    for name in splits.NAMES:
        images, _ = splits.array_paths(name)
        dataset = Dataset(
            name=f"{snapshot.params['prepare.dataset']}-{name}",
            digest=snapshot.digests[images],  # what DVC calls the file by
            source_type="local",
            source=json.dumps({"uri": images.as_posix()}),
        )
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", CONTEXTS[name])]))
    return inputs


def _settle(client: "MlflowClient", run: "Run", snapshot: Snapshot) -> None:
    """Say where the state comes from, and last that this is its run."""
    from mlflow.entities import RunTag

    run_id, tags, origin = run.info.run_id, run.data.tags, snapshot.origin
    is_new = runs.STATE_TAG not in tags
    if is_new or (tags.get(runs.UNCOMMITTED_TAG) == "true" and not origin.uncommitted):
        # A name that tells what is special about the run stays with it.
        name = origin.name if is_new or run.info.run_name.endswith("+") else run.info.run_name
        runs.set_origin(client, run_id, origin, name)
    if is_new:
        md5 = {f"{name}_md5": splits.array_paths(name)[0] for name in splits.NAMES}
        md5[runs.MODEL_TAG] = MODEL
        values = {tag: snapshot.digests[path] for tag, path in md5.items()}
        values[runs.STATE_TAG] = snapshot.state_id
        client.log_batch(run_id, tags=[RunTag(tag, value) for tag, value in values.items()])
    if run.info.status == "RUNNING":
        client.set_terminated(run_id, "FINISHED", 1000 * origin.seconds if origin.seconds else None)
    if runs.INCOMPLETE_TAG in client.get_run(run_id).data.tags:
        client.delete_tag(run_id, runs.INCOMPLETE_TAG)
