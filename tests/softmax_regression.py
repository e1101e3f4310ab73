"""Softmax regression in NumPy, which takes the network's place in clones that ask nothing of it.

It replaces each of the modules in `REPLACED`, the only ones that load TensorFlow, whose import
takes most of the time of a small `dvc repro`. So all that is around it is the real thing:
DVC, MLflow, the stages and their files. A model's file can be read by MLflow's flavor, but not by
Keras.
"""

import json
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.core import files
from pipeline.core.arrays import ByteArray, FloatArray, IntArray, Split

if TYPE_CHECKING:  # what dvc.yaml says the replaced modules import
    import keras as _keras  # noqa: F401
    import tensorflow as _tensorflow  # noqa: F401

REPLACED = (
    "evaluation/attribution.py",
    "model/network.py",
    "model/runtime.py",
    "training/trainer.py",
)


EPOCH_SECONDS = 0.3  # at least, so that a test can do something to a training run


class Model:
    """What the stages ask of a Keras model."""

    def __init__(self, kernel: FloatArray) -> None:
        """Take the weights of each pixel and class, (height, width, channels, classes)."""
        self.kernel = kernel
        self.input_shape = (None, *kernel.shape[:-1])
        self.output_shape = (None, kernel.shape[-1])

    def predict_on_batch(self, images: ByteArray) -> FloatArray:
        """Return the probability of each class for each image."""
        logits = np.tensordot(images.astype(np.float32) / 255, self.kernel, 3)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def count_params(self) -> int:
        """Return the number of weights."""
        return self.kernel.size


# model/runtime.py

EVALUATION_BATCH_SIZE = 250
keras = SimpleNamespace(Model=Model, utils=SimpleNamespace(clear_session=lambda: None))


def configure(_threads: int) -> None:
    """Do nothing: it gives the same bits anyway."""


def count_gpus() -> int:
    """Return that there are none."""
    return 0


# model/network.py


def write_model(path: Path, model: Model) -> None:
    """Write an archive whose config says of the first and the last layer what Keras's does."""
    pixels = {"config": {"dtype": "uint8", "batch_shape": model.input_shape}}
    probabilities = {"config": {"dtype": {"config": {"name": "float32"}}}}
    config = json.dumps({"config": {"layers": [pixels, probabilities]}}).encode()
    weights = files.pack_arrays({"weights": model.kernel})
    with files.replacing(path) as partial:
        partial.write_bytes(files.pack({"config.json": config, "weights.npz": weights}))


def read_model(path: Path) -> Model:
    """Read what `write_model` wrote."""
    with zipfile.ZipFile(path) as archive, archive.open("weights.npz") as weights:
        return Model(np.load(weights)["weights"])


# training/trainer.py


def train_network(
    train: Split,
    val: Split,
    classes: int,
    params: Any,  # noqa: ANN401, as `evaluate` must not import TrainingParams
    on_epoch_end: Callable[[int, dict[str, float]], None],
    _saved: object = None,
    on_start: Callable[[], None] = lambda: None,
    _save: object = None,
) -> tuple[Model, pd.DataFrame]:
    """Take gradient steps, from weights that each param of the network and `threads` change."""
    on_start()
    network = zlib.crc32(params.model.model_dump_json().encode())
    seed = [params.train.seed, params.train.threads, network]
    rng = np.random.default_rng(seed)
    size = (*train.images.shape[1:], classes)
    model = Model(rng.normal(scale=0.01, size=size).astype(np.float32))
    rows = []
    for epoch in range(1, params.train.epochs + 1):
        time.sleep(EPOCH_SECONDS)
        order = rng.permutation(len(train.labels))
        for start in range(0, len(order), params.train.batch_size):
            batch = order[start : start + params.train.batch_size]
            images, labels = train.images[batch], train.labels[batch]
            wrong = model.predict_on_batch(images) - np.eye(classes, dtype=np.float32)[labels]
            gradient = np.tensordot(images.astype(np.float32) / 255, wrong, (0, 0)) / len(batch)
            model.kernel -= 10 * params.train.learning_rate * gradient
        (loss, accuracy), (val_loss, val_accuracy) = _measure(model, train), _measure(model, val)
        measures = {
            "loss": loss,
            "accuracy": accuracy,
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
        }
        rows.append({"epoch": epoch, **measures})
        on_epoch_end(epoch, measures)
    return model, pd.DataFrame(rows)


def _measure(model: Model, split: Split) -> tuple[float, float]:
    """Return the cross-entropy and the accuracy."""
    probabilities = model.predict_on_batch(split.images)
    found = probabilities[np.arange(len(split.labels)), split.labels]
    right = probabilities.argmax(axis=1) == split.labels
    return float(-np.log(np.maximum(found, 1e-7)).mean()), float(right.mean())


# evaluation/attribution.py


def layer_outputs(model: Model, images: ByteArray) -> dict[str, FloatArray]:
    """Return what each class sees in each pixel, as the one layer's maps."""
    seen = images[..., None].astype(np.float32) / 255 * model.kernel
    return {"conv1_1": np.asarray(seen.sum(axis=3))}


def first_kernel(model: Model) -> FloatArray:
    """Return the weights."""
    return model.kernel


def integrated_gradients(model: Model, images: ByteArray, classes: IntArray) -> FloatArray:
    """Return each pixel's part of the logit, which is the integral where all is linear."""
    kernels = np.moveaxis(model.kernel, -1, 0)[classes]
    return np.asarray(images[:, None].astype(np.float32) / 255 * kernels)
