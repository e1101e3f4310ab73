"""MLflow's copy of a state's model."""

import json
import re
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core import files
from pipeline.evaluation.paths import EVALUATION
from pipeline.model.paths import MODEL
from pipeline.provenance.snapshot import Snapshot

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

MD5_TAG = "md5"


def attach_model(
    client: "MlflowClient", experiment: str, run: str, snapshot: Snapshot
) -> str | None:
    """Give a run the model of its state, and return the model's id, or None if there is no file.

    Runs of the same model share one copy.
    """
    from mlflow.entities import LoggedModelOutput

    same = f"tags.{MD5_TAG} = '{snapshot.digests[MODEL]}'"
    models = client.search_logged_models([experiment], filter_string=same)
    ready = [model.model_id for model in models if model.status == "READY"]
    if ready:
        model_id = ready[0]
    elif snapshot.model:
        model_id = _log_model(client, experiment, run, snapshot.model, snapshot)
    else:
        return None
    client.log_outputs(run, [LoggedModelOutput(model_id, step=0)])
    return model_id


def _log_model(
    client: "MlflowClient", experiment: str, run: str, keras_file: Path, snapshot: Snapshot
) -> str:
    """Log the model's file as it is, without TensorFlow."""
    from mlflow.models import Model

    from pipeline.tracking.models import keras_flavor

    model = client.create_logged_model(
        experiment,
        name=re.sub(r"[^\w-]", "-", str(snapshot.params["prepare.dataset"])),
        source_run_id=run,
        tags={MD5_TAG: snapshot.digests[MODEL]},
        params={
            name: str(value)
            for name, value in snapshot.params.items()
            if not name.startswith("evaluate.")  # which states with this model may differ in
        },
    )
    classes, example = _read_classes(snapshot), None
    if snapshot.test_images:
        example = np.array(np.load(snapshot.test_images, mmap_mode="r")[:1])
    mlflow_model = Model(
        artifact_path=model.artifact_location,
        run_id=run,
        model_uuid=model.model_id,
        model_id=model.model_id,
        metadata={"classes": classes},
    )
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "model")
        signature = _signature(keras_file, len(classes))
        keras_flavor.save_model(folder, mlflow_model, keras_file, signature, example)
        client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, "READY")
    model_id: str = model.model_id
    return model_id


def _read_classes(snapshot: Snapshot) -> list[str]:
    """Return the names of the classes, in the order of the probabilities."""
    return list(files.read_text(snapshot.folder / EVALUATION, json.loads)["recall"])


def _signature(keras_file: Path, classes: int) -> "ModelSignature":
    """Return what the model takes and gives, as its file describes it: no TensorFlow is needed.

    A file does not have the shape of each output, but `evaluate` has compared it with the classes.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    with zipfile.ZipFile(keras_file) as archive:
        network = json.loads(archive.read("config.json"))["config"]
    read, softmax = (network["layers"][place]["config"] for place in (0, -1))
    taken = TensorSpec(np.dtype(read["dtype"]), (-1, *read["batch_shape"][1:]))
    given = TensorSpec(np.dtype(softmax["dtype"]["config"]["name"]), (-1, classes))
    return ModelSignature(Schema([taken]), Schema([given]))
