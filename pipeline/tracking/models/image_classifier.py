"""How MLflow's pyfunc loads and calls a model; every model that is logged takes a copy with it.

Hence nothing of the pipeline is imported here: a model loads wherever its requirements are met.

Pixels are checked, and not left to MLflow's signature: to fit unsigned bytes, MLflow cuts off
decimals (a picture scaled to 0..1 becomes black), reads numbers from text and, in tables, wraps
300 around to 44, all in silence.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mlflow.exceptions import MlflowException

BATCH_SIZE = 250  # more at once would be no faster, and take memory
KINDS = {"U": "text", "b": "true and false"}  # by numpy.dtype.kind


class ImageClassifier:
    """A Keras model that takes raw pixels, and refuses what is none."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        """Compile the model for batches of any size: it takes Keras two sizes to see the need."""
        self._model = model
        self._image_shape = tuple(model.input_shape[1:])
        for size in (1, 2):
            model.predict_on_batch(np.zeros((size, *self._image_shape), np.uint8))

    def predict(self, images: object) -> npt.NDArray[np.float32]:
        """Return the probability of each class for each image, (N, classes).

        Keras's `predict` would take 30 times as long for one image.

        Raises:
            MlflowException: these are not raw pixels of such images; a server answers 400.
        """
        pixels = check_pixels(images, self._image_shape)
        starts = range(0, len(pixels), BATCH_SIZE)
        return np.concatenate(
            [self._model.predict_on_batch(pixels[start : start + BATCH_SIZE]) for start in starts]
        )


def check_pixels(images: object, image_shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return the images as unsigned bytes, (N, *image_shape).

    Raises:
        MlflowException: they are not whole numbers from 0 to 255 in that shape, there are none,
            or a picture has no pixel above 1: scaled to 0..1, perhaps, and then rounded.
    """
    shape = f"(images, {', '.join(map(str, image_shape))})"
    if isinstance(images, list):  # from a server: an empty one, or one of dictionaries
        images = np.array(images)
    if not isinstance(images, np.ndarray):
        raise _refusal(f"expected an array of shape {shape}, got a {type(images).__name__}")
    if images.size == 0:
        raise _refusal(f"there is no image; expected an array of shape {shape}")
    if images.dtype.kind not in "uif":
        found = KINDS.get(images.dtype.kind, "null or something else")
        raise _refusal(f"pixels must be numbers, got {found}")
    if images.shape[1:] != image_shape:
        raise _refusal(f"expected an array of shape {shape}, got {images.shape}")
    good = (images >= 0) & (images <= 255) & (np.trunc(images) == images)  # never true of NaN
    if not good.all():
        image = int(np.argmin(good.reshape(len(images), -1).all(axis=1)))
        raise _refusal(
            f"pixels must be whole numbers from 0 to 255, not scaled; image {image} (from 0) "
            f"has {images[image][~good[image]][0]}"
        )
    dark = images.reshape(len(images), -1).max(axis=1) <= 1
    if dark.any():
        raise _refusal(
            f"image {int(np.argmax(dark))} (from 0) has no pixel above 1: it is blank, or scaled "
            "to 0..1; send raw pixels, whole numbers from 0 to 255"
        )
    return images.astype(np.uint8)


def _refusal(fault: str) -> MlflowException:
    refusal: MlflowException = MlflowException.invalid_parameter_value(fault)
    return refusal


def _load_pyfunc(path: str) -> ImageClassifier:
    """Load the model for `mlflow.pyfunc.load_model`, which looks for this name."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    return ImageClassifier(keras.saving.load_model(Path(path) / "model.keras", compile=False))
