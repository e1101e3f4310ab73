"""What a complete run holds, read from the files of its state."""

import csv
import json
from collections.abc import Collection, Iterator
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core import files, splits
from pipeline.core.errors import PipelineError
from pipeline.data.paths import DATASET
from pipeline.evaluation.paths import EVALUATION
from pipeline.figures.paths import FIGURES, NETWORK_PICTURES
from pipeline.provenance.paths import METRICS
from pipeline.provenance.results import flatten_numbers
from pipeline.provenance.snapshot import Snapshot
from pipeline.tracking import runs
from pipeline.tracking.metric_names import name_metrics
from pipeline.tracking.models.logged_model import attach_model
from pipeline.tracking.store_errors import plain_errors
from pipeline.training.paths import HISTORY

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Metric, Run

PICTURES = {"figures": FIGURES, "network": NETWORK_PICTURES}  # by the folder of their artifacts
TEST_SPLIT = "test"
CONTEXTS = {"train": "training", "val": "validation", "test": "test"}


def add_missing(client: "MlflowClient", experiment: str, run: "Run", snapshot: Snapshot) -> bool:
    """Add what the run lacks, and the present files; tell whether it has a model."""
    run_id = run.info.run_id
    models = run.outputs.model_outputs if run.outputs else []
    model_id = models[0].model_id if models else attach_model(client, experiment, run_id, snapshot)
    logged = {point.step for point in client.get_metric_history(run_id, "loss")}
    seconds = snapshot.origin.seconds
    known = run.data.metrics
    tested_on = _name_split(snapshot, TEST_SPLIT), snapshot.digests[splits.TEST.images]
    metrics = _epoch_metrics(snapshot, seconds, logged) + [
        runs.metric(name, value, 0, seconds, model_id, tested_on)
        for name, value in read_results(snapshot).items()
        if name not in known or (snapshot.is_present and known[name] != value)
    ]
    runs.log(client, run_id, metrics)
    if not (run.inputs and run.inputs.dataset_inputs):
        client.log_inputs(run_id, datasets=_dataset_inputs(snapshot))
    if snapshot.is_present or runs.STATE_TAG not in run.data.tags:
        stored: set[str] = set()  # whatever there is, is replaced
        for name, path in PICTURES.items():
            if (snapshot.folder / path).is_dir():  # DVC's cache may have lost those of the past
                client.log_artifacts(run_id, str(snapshot.folder / path), name)
    else:
        stored = {file.path for file in client.list_artifacts(run_id, METRICS.as_posix())}
    for path in snapshot.results:
        if path.as_posix() not in stored:
            client.log_artifact(run_id, str(snapshot.folder / path), path.parent.as_posix())
    return model_id is not None


def remove_undrawn(client: "MlflowClient", run: "Run", folder: Path) -> str:
    """Remove the pictures of a run that are no longer drawn; say so where the store keeps them.

    A client of MLflow can delete no artifact; `mlflow gc` does it like this.

    Args:
        client: of the store.
        run: of the state that lies in `folder`.
        folder: that `metrics/` is in.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    undrawn = [
        artifact
        for name, path in PICTURES.items()
        if (folder / path).is_dir()  # otherwise they were not pulled
        for artifact in _list_files(client, run.info.run_id, name)
        if not (folder / path / artifact.removeprefix(f"{name}/")).is_file()
    ]
    try:
        with plain_errors():
            repository = get_artifact_repository(run.info.artifact_uri)
            for artifact in undrawn:
                repository.delete_artifacts(artifact)  # type: ignore[no-untyped-call]
    except PipelineError as error:
        return f"it keeps {', '.join(undrawn)}, which is no longer drawn ({error})"
    return ""


def _list_files(client: "MlflowClient", run_id: str, folder: str) -> Iterator[str]:
    for artifact in client.list_artifacts(run_id, folder):
        if artifact.is_dir:
            yield from _list_files(client, run_id, artifact.path)
        else:
            yield artifact.path


def has_epochs_of(client: "MlflowClient", run: "Run", snapshot: Snapshot) -> bool:
    """Tell whether the epochs that a run has, if any, are a state's: other code makes others."""
    losses = {int(row["epoch"]): float(row["val_loss"]) for row in _read_epochs(snapshot)}
    points = client.get_metric_history(run.info.run_id, "val_loss")
    return all(losses.get(point.step) == point.value for point in points)


def _read_epochs(snapshot: Snapshot) -> list[dict[str, str]]:
    return files.read_text(
        snapshot.folder / HISTORY, lambda text: [*csv.DictReader(StringIO(text))]
    )


def _epoch_metrics(
    snapshot: Snapshot, seconds: float | None, logged: Collection[int]
) -> "list[Metric]":
    return [
        runs.metric(name, float(value), int(row["epoch"]), seconds)
        for row in _read_epochs(snapshot)
        if int(row["epoch"]) not in logged
        for name, value in row.items()
        if name != "epoch"
    ]


def read_results(snapshot: Snapshot) -> dict[str, float]:
    """Return each number in the JSON files of a state by the name that it has as a metric.

    That is `test_` with its key in `evaluation.json`; another file has its own name as prefix.
    `dataset.json` is left out: what it says is shown with the data sets.

    Raises:
        DataError: a file cannot be read.
    """
    found = {}
    for path in snapshot.results:
        if path.suffix == ".json" and path != DATASET:
            prefix = "test" if path == EVALUATION else path.stem
            values = files.read_text(snapshot.folder / path, json.loads)
            for name, value in flatten_numbers(values, name_metrics).items():
                if value is not None:  # as the recall of a class without images is
                    found[f"{prefix}_{name}"] = value
    return found


def describe(snapshot: Snapshot) -> str:
    """Return in two lines what a state is and what it reached, as Markdown.

    It has nothing but what the state consists of, so it stays true.

    Raises:
        DataError: a file cannot be read.
    """
    params = snapshot.params
    splits_of = files.read_text(snapshot.folder / DATASET, json.loads)["splits"]
    samples = {split["split"]: f"{split['samples']:,}" for split in splits_of}
    tested = files.read_text(snapshot.folder / EVALUATION, json.loads)
    network = f"convolutions {params['model.conv_blocks']}, dense {params['model.dense_units']}"
    return (
        f"**{params['prepare.dataset']}**, {samples['train']} training images; {network}; "
        f"{params['train.epochs']} epochs of {params['train.optimizer']} with learning rate "
        f"{params['train.learning_rate']}, seed {params['train.seed']}.\n\n"
        f"Test accuracy **{tested['accuracy']:.4f}** ({tested['accuracy_low']:.4f} to "
        f"{tested['accuracy_high']:.4f}): {tested['errors']:,} of {samples['test']} images are "
        "misclassified."
    )


def _name_split(snapshot: Snapshot, split: str) -> str:
    return f"{snapshot.params['prepare.dataset']}-{split}"


def _dataset_inputs(snapshot: Snapshot) -> "list[DatasetInput]":
    from mlflow.entities import Dataset, DatasetInput, InputTag

    described = files.read_text(snapshot.folder / DATASET, json.loads)["splits"]
    inputs = []
    for split in described:
        name = split.pop("split")
        images = splits.SPLITS[name].images
        dataset = Dataset(
            name=_name_split(snapshot, name),
            digest=snapshot.digests[images],  # what DVC calls the file by
            source_type="local",
            source=json.dumps({"uri": images.as_posix()}),
            profile=json.dumps(split),
        )
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", CONTEXTS[name])]))
    return inputs
