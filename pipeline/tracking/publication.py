"""One finished run for the present state of the pipeline."""

import csv
import json
from typing import TYPE_CHECKING

from pipeline import files, splits, state
from pipeline.arrays import CLASSES
from pipeline.errors import PipelineError
from pipeline.params import Params
from pipeline.paths import DATASET, ERRORS, EVALUATION, FIGURES, HISTORY, MODEL
from pipeline.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient


def publish(params: Params) -> str:
    """Make the store hold the present state as one finished run, and return what was done.

    The run that its training opened is completed; where no training was needed, a run is made
    from the files. A state that has its run already gets the present figures, and the run of a
    training that only made the same again is removed.

    Raises:
        DataError: a file of the state cannot be read.
        PipelineError: the store does not take it.
    """
    state_id = state.identify(params, state.STATE_FILES)
    training_id = state.identify(params, state.TRAINING_FILES)
    incomplete = {store.TRAINING_TAG: training_id, store.INCOMPLETE_TAG: store.NOT_EVALUATED}
    try:
        client, experiment = store.open_store()
        known = _find(client, experiment, {store.STATE_TAG: state_id})
        opened = _find(client, experiment, incomplete)
        if known:
            for repeated in opened:
                client.delete_run(repeated)
            run, done = known[0], "reproduced" if opened else "updated"
            client.log_artifacts(run, str(FIGURES), "figures")
        else:
            done = "completed" if opened else "created"
            run = opened[0] if opened else _create_run(client, experiment, params, incomplete)
            _complete(client, run)
            store.name_run(client, run, params)
            client.set_tag(run, store.STATE_TAG, state_id)
            client.delete_tag(run, store.INCOMPLETE_TAG)
            client.set_terminated(run, "FINISHED")
        name = client.get_run(run).info.run_name
    except PipelineError:
        raise
    except Exception as error:  # whatever the store raises
        raise PipelineError(f"MLflow: {type(error).__name__}: {error}") from error
    return f"MLflow: {done} run {name} ({run})"


def _find(client: "MlflowClient", experiment: str, tags: dict[str, str]) -> list[str]:
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    return [run.info.run_id for run in client.search_runs([experiment], wanted)]


def _create_run(
    client: "MlflowClient", experiment: str, params: Params, tags: dict[str, str]
) -> str:
    """Create a run with what training would have logged."""
    run = store.create_run(client, experiment, params, tags)
    with HISTORY.open(newline="") as file:
        for row in csv.DictReader(file):
            epoch = int(row.pop("epoch"))
            metrics = {name: float(value) for name, value in row.items()}
            store.log_metrics(client, run, metrics, epoch)
    return run


def _complete(client: "MlflowClient", run: str) -> None:
    """Add what comes after training: test metrics, data sets, figures, metrics files, model."""
    evaluation = files.read_text(EVALUATION, json.loads)
    per_class = {
        f"{name}.{label}": value
        for name in ("recall", "precision")
        for label, value in evaluation.pop(name).items()
    }
    test_metrics = {f"test_{name}": value for name, value in (evaluation | per_class).items()}
    store.log_metrics(client, run, test_metrics)
    _log_datasets(client, run)
    client.log_artifacts(run, str(FIGURES), "figures")
    for path in (DATASET, HISTORY, EVALUATION, ERRORS):
        client.log_artifact(run, str(path), "metrics")
    client.set_tag(run, "model_md5", files.md5(MODEL))
    _log_model(run)


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

    from pipeline.tracking import keras_flavor

    images = splits.read_split("test").images[:1]
    pixels = TensorSpec(np.dtype(np.uint8), (-1, *images.shape[1:]))
    probabilities = TensorSpec(np.dtype(np.float32), (-1, CLASSES))
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
