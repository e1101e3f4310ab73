"""A model of the store, loaded as it is served: with this repository's code."""

import gc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.arrays import ByteArray
from pipeline.core.errors import PipelineError
from pipeline.serving.app import Classifier
from pipeline.tracking.models import registry

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def load_classifier(version: "ModelVersion") -> Classifier:
    """Load a version's model: its weights are the store's, all code is this repository's.

    Raises:
        PipelineError: its file is not the one of its commit, or cannot be loaded.
    """
    from mlflow.exceptions import MlflowException

    from pipeline.model import network
    from pipeline.tracking.models.image_classifier import BATCH_SIZE, ImageClassifier, check_pixels

    with TemporaryDirectory() as folder:
        model = network.read_model(registry.download_model(version, Path(folder)))
    classes = registry.read_classes(version)
    if len(classes) != model.output_shape[-1]:
        raise PipelineError(
            f"{version.name} version {version.version} knows {model.output_shape[-1]} classes, but "
            f"MLflow has names for {len(classes)}"
        )

    def check(images: object) -> ByteArray:
        try:
            return check_pixels(images, tuple(model.input_shape[1:]))
        except MlflowException as error:
            raise ValueError(error.message) from None

    classifier = Classifier(check, ImageClassifier(model).predict, classes, BATCH_SIZE)
    # Parsing makes a list of each pixel and so triggers many collections, each of which would go
    # through all of TensorFlow: four fifths of the time for 100 images.
    gc.collect()
    gc.freeze()
    return classifier


def require_answer(version: "ModelVersion", images: ByteArray) -> None:
    """Check that a version answers for images, as it will when it is served.

    Raises:
        PipelineError: it cannot be loaded, or gives no probabilities.
    """
    from pipeline.model import runtime  # noqa: F401, or TensorFlow's import fills the screen

    classifier = load_classifier(version)
    sums = classifier.predict(classifier.check(images)).sum(axis=1)
    if not np.allclose(sums, 1, atol=1e-3):
        raise PipelineError(
            f"{version.name} version {version.version} is not promoted: the probabilities that it "
            f"gives for a test image add up to {sums[0]}"
        )
