"""MLflow is told what a model takes and gives, whatever layers it is built of."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.model.runtime import keras
from pipeline.tracking.models.logged_model import _signature

layers = keras.layers


def sequential() -> keras.Model:
    pixels = keras.Input((4, 6, 1), dtype="uint8")
    return keras.Sequential([pixels, layers.Flatten(), layers.Dense(3, activation="softmax")])


def functional() -> keras.Model:
    pixels = keras.Input((4, 6, 1), dtype="uint8")
    read = keras.Sequential([layers.Rescaling(1 / 255), layers.Conv2D(3, 2)])(pixels)
    read = layers.Add()([read, layers.Conv2D(3, 2)(pixels)])
    return keras.Model(pixels, layers.Softmax()(layers.GlobalAveragePooling2D()(read)))


@pytest.mark.parametrize("build", [sequential, functional])
def test_signature_is_read_from_the_file(build: Callable[[], keras.Model], tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    build().save(path)

    signature = _signature(path, classes=3)

    (taken,), (given,) = signature.inputs.inputs, signature.outputs.inputs
    assert (taken.shape, taken.type) == ((-1, 4, 6, 1), np.dtype("uint8"))
    assert (given.shape, given.type) == ((-1, 3), np.dtype("float32"))
