"""Training in bfloat16: the same bytes each time, and a float32 model whose weights it gives."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from pipeline import evaluate
from pipeline.core.arrays import Split
from pipeline.model import network
from pipeline.model.runtime import keras, tf
from pipeline.provenance.params import Params, load_params
from pipeline.training import trainer
from pipeline.training.checkpoint import Arrays
from tests.conftest import FROZEN, Clone

# All that has a state or draws at random.
RECIPE = {
    "model.conv_blocks": [[2], [4]],
    "model.dense_units": [4],
    "model.batch_norm": True,
    "model.residual": True,
    "model.dropout": 0.2,
    "augmentation.rotation": 15.0,
    "train.epochs": 2,
    "train.batch_size": 8,
    "train.learning_rate_schedule": "cosine",
    "train.early_stopping_patience": 2,
    "train.label_smoothing": 0.2,
    "train.precision": "mixed_bfloat16",
}
COMMAND = ("python", "-m", "pipeline.train")
OUTPUTS = ("models/model.keras", "metrics/history.csv")
RANDOM = np.random.default_rng(0)
SPLIT = Split(
    RANDOM.integers(0, 256, (24, 28, 28, 1), dtype=np.uint8),
    RANDOM.integers(0, 10, 24, dtype=np.uint8),
)


def make(changes: Mapping[str, object]) -> Params:
    sections = load_params(FROZEN["params.yaml"]).model_dump()
    for name, value in changes.items():
        section, key = name.split(".")
        sections[section][key] = value
    return Params.model_validate(sections)


def ignore(_epoch: int, _metrics: dict[str, float]) -> None:
    pass


def read_config(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def test_images_stay_bytes_up_to_the_first_layer_and_the_softmax_is_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    scale = keras.layers.Rescaling.call

    def call(layer: keras.Layer, images: tf.Tensor) -> tf.Tensor:
        seen.append(images.dtype)
        return scale(layer, images)

    model = network.build_network(
        make(RECIPE).model, (28, 28, 1), classes=10, precision="mixed_bfloat16"
    )
    monkeypatch.setattr(keras.layers.Rescaling, "call", call)
    probabilities = model(tf.constant(SPLIT.images), training=True)
    assert seen == [tf.uint8]
    assert probabilities.dtype == tf.float32
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    assert {layer.compute_dtype for layer in layers[:-1]} == {"bfloat16"}
    assert layers[-1].compute_dtype == "float32"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_last_layer_that_would_not_be_float32_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> keras.Model:
        layers = keras.layers
        return keras.Sequential([layers.Flatten(), layers.Dense(10, activation="softmax")])

    monkeypatch.setattr(network, "_connect", connect)
    with pytest.raises(ValueError, match=r'its last layer, dense.*, must have dtype="float32"'):
        network.build_network(make({}).model, (28, 28, 1), classes=10, precision="mixed_bfloat16")


def test_training_repeats_itself_also_from_a_checkpoint_and_saves_a_float32_model(
    tmp_path: Path,
) -> None:
    states: list[Arrays] = []

    def train_to(name: str, saved: Arrays | None = None, **changes: object) -> Path:
        params = make(RECIPE | {f"train.{key}": value for key, value in changes.items()})
        model, rows = trainer.train_network(
            *(SPLIT, SPLIT, 10, params, ignore),
            saved=saved,
            save=lambda state: states.append({name: array.copy() for name, array in state.items()}),
        )
        path = tmp_path / f"{name}.keras"
        network.write_model(path, model)
        rows.to_csv(path.with_suffix(".csv"))
        return path

    first, again, resumed = train_to("first"), train_to("again"), train_to("resumed", states[0])
    assert len(states) == 2 + 2 + 1
    for other in (again, resumed):
        assert other.read_bytes() == first.read_bytes()
        assert other.with_suffix(".csv").read_text() == first.with_suffix(".csv").read_text()

    plain = train_to("plain", precision="float32")
    assert plain.read_bytes() != first.read_bytes()
    assert read_config(plain) == read_config(first)
    loaded = network.read_model(first)
    assert {layer.dtype_policy.name for layer in loaded.layers} == {"float32"}
    assert {weight.dtype for weight in loaded.weights} == {"float32"}
    same = network.build_network(make(RECIPE).model, (28, 28, 1), classes=10)
    same.set_weights(loaded.get_weights())
    np.testing.assert_array_equal(
        evaluate.predict(loaded, SPLIT, 10), evaluate.predict(same, SPLIT, 10)
    )


def train(clone: Clone, **changes: object) -> str:
    """Train with some params; return what it says."""
    many = {"train.batch_size": 64, "train.threads": 1}
    named = {f"train.{key}": value for key, value in changes.items()}
    clone.edit_params(RECIPE | many | named)
    return clone.run(*COMMAND, PIPELINE_MLFLOW="off").stdout


def take_outputs(clone: Clone) -> list[bytes]:
    """Return what training has written, and remove it."""
    paths = [clone.path / path for path in OUTPUTS]
    taken = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    return taken


def test_killed_training_resumes_to_the_same_bytes(clone: Clone) -> None:
    train(clone, epochs=6)
    expected = take_outputs(clone)
    training = clone.popen(*COMMAND, PIPELINE_MLFLOW="off", PYTHONUNBUFFERED="1")
    assert training.stdout
    for line in training.stdout:
        if line.startswith("Epoch 2/"):
            break
    training.kill()
    training.communicate()
    assert "Resuming after epoch " in train(clone, epochs=6)
    assert take_outputs(clone) == expected
