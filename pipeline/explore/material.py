"""What the page works with: the models, the test images, and the names of the classes."""

import io
import tempfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline import files, network, splits
from pipeline.arrays import Split
from pipeline.errors import DataError, PipelineError
from pipeline.paths import ERRORS, MODEL, PREPARED
from pipeline.runtime import keras
from pipeline.tracking import registry, store

CLASSES = PREPARED / "classes.txt"
CURRENT = "Current model"


class Material(NamedTuple):
    """What there is to choose from.

    Attributes:
        models: by what they are called on the page; the current one comes first.
        no_champion: why the champion is not among them, or "".
        test: images (N, height, width, channels) and labels.
        errors: one row for each test image that the current model gets wrong, as in
            `metrics/errors.csv`.
        classes: their names.
    """

    models: dict[str, keras.Model]
    no_champion: str
    test: Split
    errors: pd.DataFrame
    classes: list[str]


def load(dataset: str) -> Material:
    """Load all of it.

    Raises:
        DataError: a file is missing or damaged, or the files are not of one state.
    """
    model, test = network.read_model(MODEL), splits.read_split("test")
    shape, found = test.images.shape[1:], model.input_shape[1:]
    if shape != found:
        raise DataError(
            f"{MODEL}: takes images of shape {found}, but the test images are of shape {shape}; "
            "`dvc repro` trains one that fits"
        )
    models, no_champion = {CURRENT: model}, ""
    try:
        caption, champion = load_champion(dataset)
        if champion.input_shape != model.input_shape:
            raise PipelineError(f"{caption} takes images of another shape.")
        models[caption] = champion
    except PipelineError as error:  # the page can do without
        no_champion = str(error)
    errors = files.read_text(ERRORS, lambda text: pd.read_csv(io.StringIO(text)))
    return Material(models, no_champion, test, errors, class_names(model.output_shape[-1]))


def load_champion(dataset: str) -> tuple[str, keras.Model]:
    """Return the champion of a data set, after what it is called on the page.

    Raises:
        PipelineError: there is none, or the store fails.
    """
    with store.plain_errors(), tempfile.TemporaryDirectory() as folder:
        client, _ = store.open_store()
        version = registry.find_champion(client, dataset)
        if not version:
            raise PipelineError("There is no champion yet: `make promote` makes one.")
        path = registry.download_model(version, Path(folder))
        return f"Champion (version {version.version})", network.read_model(path)


def class_names(count: int) -> list[str]:
    """Return the names of the classes, which are numbers where nobody has named them.

    Raises:
        DataError: the file that names them is not for so many.
    """
    if not CLASSES.exists():
        return [str(number) for number in range(count)]
    names = files.read_text(CLASSES, str.splitlines)
    if len(names) != count:
        raise DataError(
            f"{CLASSES}: names {len(names)} classes, {MODEL} knows {count}; {files.REMEDY}"
        )
    return names
