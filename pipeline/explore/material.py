"""What the page works with: the models, the test images, and the names of the classes."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from pipeline.core import files, splits
from pipeline.core.arrays import IntArray, Split
from pipeline.core.classes import read_classes
from pipeline.core.errors import DataError, PipelineError
from pipeline.evaluation.paths import ERRORS
from pipeline.evaluation.predictions import parse_predictions
from pipeline.model import network
from pipeline.model.paths import MODEL
from pipeline.model.runtime import keras
from pipeline.tracking import store
from pipeline.tracking.models import registry
from pipeline.tracking.store_errors import plain_errors

CURRENT = "Current model"


class Material(NamedTuple):
    """What there is to choose from.

    Attributes:
        models: by what they are called on the page; the current one comes first.
        no_champion: why the champion is not among them, or nothing.
        test: images (N, height, width, channels) and labels (N,).
        errors: numbers of the test images that the current model gets wrong, counted from 0.
        classes: their names, by label.
    """

    models: dict[str, keras.Model]
    no_champion: str
    test: Split
    errors: IntArray
    classes: list[str]


def load(dataset: str) -> Material:
    """Load all of it; without a champion, the page does with the current model.

    Args:
        dataset: whose champion it is.

    Raises:
        DataError: a file is missing or damaged, or the model is not for this data.
    """
    model, test, classes = network.read_model(MODEL), splits.read_split(splits.TEST), read_classes()
    if not fits(model, test, classes):
        raise DataError(
            f"{MODEL}: does not fit the prepared data; `dvc repro` trains one that does"
        )
    errors = files.read_text(ERRORS, parse_predictions)["image"].to_numpy()
    models, no_champion = {CURRENT: model}, ""
    try:
        caption, champion = load_champion(dataset)
        if fits(champion, test, classes):
            models[caption] = champion
        else:
            no_champion = f"{caption} is for images of another size, or for other classes."
    except PipelineError as error:
        no_champion = str(error)
    return Material(models, no_champion, test, errors, classes)


def load_champion(dataset: str) -> tuple[str, keras.Model]:
    """Return what the champion of a data set is called on the page, and its model.

    Raises:
        PipelineError: there is none, or the store fails.
    """
    with plain_errors(), tempfile.TemporaryDirectory() as folder:
        found = store.find_experiment() if store.enabled() else None
        version = found and registry.find_champion(found[0], registry.name_model(dataset))
        if not version:
            raise PipelineError("There is no champion yet: `make promote` makes this model one.")
        model = network.read_model(registry.download_model(version, Path(folder)))
        return f"Champion (version {version.version})", model


def fits(model: keras.Model, test: Split, classes: list[str]) -> bool:
    """Tell whether a model takes such images and knows so many classes."""
    sizes = model.input_shape[1:], model.output_shape[-1]
    return bool(sizes == (test.images.shape[1:], len(classes)))
