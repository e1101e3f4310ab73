"""Network, training and prediction on the real TensorFlow, with small arrays."""

import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from pipeline import evaluate
from pipeline.core.arrays import Split
from pipeline.core.errors import ParamsError, PipelineError
from pipeline.model import network
from pipeline.model.runtime import keras, tf
from pipeline.provenance.params import Params, load_params
from pipeline.training import epoch_loop, optimization, replicas, trainer
from pipeline.training.batch_norm import FusedBatchNormalization
from pipeline.training.params import TrainParams
from tests.conftest import FROZEN, ROOT

IMAGE_SHAPE = (28, 28, 1)
RECIPE = {
    "model__batch_norm": True,
    "model__dropout": 0.2,
    "augmentation__rotation": 15.0,
    "augmentation__shift": 0.1,
    "augmentation__zoom": 0.15,
    "train__learning_rate_schedule": "cosine",
    "train__label_smoothing": 0.2,
}


@pytest.fixture
def params() -> Callable[..., Params]:
    """Make the lesson's params with some changes, given by dotted name."""

    def make(**changes: object) -> Params:
        values = load_params(FROZEN["params.yaml"]).model_dump()
        values["model"] |= {"conv_blocks": [[2]], "dense_units": [4]}
        values["train"] |= {"epochs": 2, "batch_size": 8}
        for name, value in changes.items():
            section, key = name.split("__")
            values[section][key] = value
        return Params.model_validate(values)

    return make


@pytest.fixture
def split() -> Split:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (24, *IMAGE_SHAPE), dtype=np.uint8)
    return Split(images, random.integers(0, 10, 24, dtype=np.uint8))


def ignore(_epoch: int, _metrics: dict[str, float]) -> None:
    pass


def cross_entropies(model: keras.Model, split: Split) -> npt.NDArray[np.float32]:
    """Return the loss of each image."""
    probabilities = evaluate.predict(model, split, 10)
    return -np.log(probabilities[np.arange(len(split.labels)), split.labels])


def layer_names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers]


def test_default_network_is_the_lessons() -> None:
    params = load_params(FROZEN["params.yaml"]).model
    model = network.build_network(params, IMAGE_SHAPE, classes=10)
    assert model.count_params() == 2_076_554
    assert model.output_shape == (None, 10)
    assert layer_names(model) == [
        "scale",
        "conv1_1",
        "conv1_1_relu",
        "conv1_2",
        "conv1_2_relu",
        "conv1_3",
        "conv1_3_relu",
        "pool1",
        "flatten",
        "flatten_dropout",
        "dense1",
        "dense1_relu",
        "dense1_dropout",
        "probabilities",
    ]


def test_no_blocks_give_the_fully_connected_network(params: Callable[..., Params]) -> None:
    chosen = params(model__conv_blocks=[], model__dense_units=[512]).model
    model = network.build_network(chosen, IMAGE_SHAPE, classes=10)
    assert model.count_params() == 784 * 512 + 512 + 512 * 10 + 10
    assert "flatten_dropout" not in layer_names(model)  # raw pixels are not dropped


def test_batch_norm_follows_every_hidden_layer_in_place_of_its_bias(
    params: Callable[..., Params],
) -> None:
    chosen = params(model__conv_blocks=[[2, 3], [4]], model__batch_norm=True).model
    model = network.build_network(chosen, IMAGE_SHAPE, classes=10)
    for name in ("conv1_1", "conv1_2", "conv2_1", "dense1"):
        place = layer_names(model).index(name)
        assert not model.layers[place].use_bias
        assert layer_names(model)[place + 1 : place + 3] == [f"{name}_norm", f"{name}_relu"]


def test_shortcuts_join_the_convolutions_of_residual_blocks(params: Callable[..., Params]) -> None:
    chosen = params(
        model__conv_blocks=[[4, 8], [8, 8]], model__residual=True, model__batch_norm=True
    ).model
    model = network.build_network(chosen, IMAGE_SHAPE, classes=10)
    read = {
        name: [operation.name for operation in inputs]
        for name, inputs in (
            (name, [tensor._keras_history.operation for tensor in model.get_layer(name).input])
            for name in ("add1", "add2")
        )
    }
    assert read == {"add1": ["conv1_2_norm", "shortcut1_norm"], "add2": ["conv2_2_norm", "pool1"]}
    assert model.get_layer("pool2").output.shape == (None, 7, 7, 8)


@pytest.mark.parametrize("residual", [False, True])
def test_network_that_leaves_nothing_of_the_images_is_refused_in_one_line(
    params: Callable[..., Params], residual: bool
) -> None:
    chosen = params(model__conv_blocks=[[2]] * 5, model__residual=residual).model
    with pytest.raises(ParamsError) as caught:
        network.build_network(chosen, IMAGE_SHAPE, classes=10)
    assert str(caught.value) == (
        "params.yaml: model: this network cannot take images of 28x28 pixels: "
        + ("Exception encountered when calling MaxPooling2D.call(). " if residual else "")
        + "Computed output size would be zero or negative"
    )


def test_raw_pixels_become_probabilities(params: Callable[..., Params], split: Split) -> None:
    model = network.build_network(params().model, IMAGE_SHAPE, classes=10)
    scaled = model.get_layer("scale")(split.images)
    np.testing.assert_allclose(scaled, split.images / 255, rtol=1e-6)
    probabilities = evaluate.predict(model, split, 10)
    assert probabilities.shape == (24, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_saved_model_has_equal_bytes_and_predicts_equal_bits(
    params: Callable[..., Params], split: Split, tmp_path: Path
) -> None:
    model = network.build_network(params(model__batch_norm=True).model, IMAGE_SHAPE, classes=10)
    first, second = tmp_path / "first.keras", tmp_path / "second.keras"
    network.write_model(first, model)
    time.sleep(2.1)  # the time in a zip entry has steps of 2 s
    network.write_model(second, model)
    assert first.read_bytes() == second.read_bytes()
    loaded = network.read_model(first)
    np.testing.assert_array_equal(
        evaluate.predict(loaded, split, 10), evaluate.predict(model, split, 10)
    )
    with zipfile.ZipFile(first) as archive:
        assert "date_saved" not in archive.read("metadata.json").decode()


@pytest.mark.parametrize("conv_blocks", [[[2]], []])
@pytest.mark.parametrize("recipe", [{}, RECIPE])
def test_training_repeats_itself_for_a_seed_zero_included(
    params: Callable[..., Params],
    split: Split,
    conv_blocks: list[list[int]],
    recipe: dict[str, Any],
) -> None:
    def weights(seed: int) -> bytes:
        chosen = params(model__conv_blocks=conv_blocks, train__seed=seed, **recipe)
        model, _ = trainer.train_network(split, split, 10, chosen, ignore)
        return b"".join(weight.tobytes() for weight in model.get_weights())

    assert weights(0) == weights(0)
    assert weights(0) != weights(1)


def test_augmentation_changes_training_and_is_not_in_the_model(
    params: Callable[..., Params], split: Split
) -> None:
    def train(rotation: float) -> tuple[keras.Model, pd.DataFrame]:
        chosen = params(augmentation__rotation=rotation, train__epochs=1)
        return trainer.train_network(split, split, 10, chosen, ignore)

    (plain, plain_history), (rotated, rotated_history) = train(0), train(90)
    assert rotated_history["loss"][0] != plain_history["loss"][0]
    assert rotated.get_config() == plain.get_config()
    np.testing.assert_allclose(
        cross_entropies(rotated, split).mean(), rotated_history["val_loss"][0], rtol=1e-4
    )


def test_smoothed_loss_is_that_of_smoothed_labels(
    params: Callable[..., Params], split: Split
) -> None:
    large = Split(split.images, split.labels.astype(np.uint16))  # as of 260 classes
    chosen = params(train__label_smoothing=0.3, train__epochs=1)
    model, history = trainer.train_network(large, large, 10, chosen, ignore)
    targets = 0.3 / 10 + 0.7 * np.eye(10)[split.labels]
    expected = -(targets * np.log(evaluate.predict(model, split, 10))).sum(axis=1).mean()
    np.testing.assert_allclose(history["val_loss"][0], expected, rtol=1e-4)


@pytest.mark.parametrize("momentum", [0.9, 0.5])
def test_batch_norm_forgets_by_its_momentum(
    params: Callable[..., Params], split: Split, momentum: float
) -> None:
    """The statistics that a network starts with count momentum^n after n batches."""
    chosen = params(
        model__batch_norm=True,
        model__batch_norm_momentum=momentum,
        model__conv_blocks=[],
        train__epochs=2,
        train__batch_size=24,  # all images, so that each batch has the same statistics
        train__learning_rate=1e-9,
    )
    model, _ = trainer.train_network(split, split, 10, chosen, ignore)
    dense, norm = model.get_layer("dense1"), model.get_layer("dense1_norm")
    mean = (split.images.reshape(24, -1) / 255 @ np.asarray(dense.kernel)).mean(axis=0)
    np.testing.assert_allclose(norm.moving_mean, (1 - momentum**2) * mean, rtol=1e-3)


def test_training_on_a_cpu_fuses_batch_norm_and_gives_kerass_layer(
    params: Callable[..., Params], split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []
    fused = FusedBatchNormalization.call

    def call(layer: keras.Layer, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        used.append(training)
        return fused(layer, inputs, training=training)

    monkeypatch.setattr(replicas, "accelerators", list)
    monkeypatch.setattr(FusedBatchNormalization, "call", call)
    chosen = params(model__batch_norm=True, train__epochs=1)
    model, _ = trainer.train_network(split, split, 10, chosen, ignore)
    assert True in used
    assert type(model.get_layer("dense1_norm")) is keras.layers.BatchNormalization


def test_nested_random_layers_draw_anew_in_each_epoch_the_same_in_each_run(
    params: Callable[..., Params], split: Split
) -> None:
    """So an interrupted training run draws what it would have drawn."""
    layers = keras.layers
    pixels = keras.Input(IMAGE_SHAPE, dtype="uint8")
    noise = keras.Sequential([layers.Rescaling(1 / 255), layers.Dropout(0.5)])
    inner = keras.Input(IMAGE_SHAPE)
    block = keras.Model(inner, layers.GaussianNoise(0.1)(noise(inner)))
    network = keras.Model(pixels, layers.Softmax()(layers.Flatten()(block(pixels))))
    chosen = params().train
    learning = epoch_loop.EpochLoop(
        tf.distribute.get_strategy(),
        network,
        None,
        optimization.build_optimizer(chosen, 3),
        optimization.build_loss(0.0),
        batch_size=8,
        seed=0,
    )

    def draw(epoch: int) -> npt.NDArray[np.float32]:
        learning._reseed(epoch)
        return np.asarray(network(split.images, training=True))

    first, second = draw(1), draw(2)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(draw(1), first)
    assert len(learning._random_states) == 2


def test_history_has_one_row_per_epoch_and_each_is_announced(
    params: Callable[..., Params], split: Split
) -> None:
    seen: list[tuple[int, dict[str, float]]] = []
    _, history = trainer.train_network(
        split, split, 10, params(), lambda epoch, logs: seen.append((epoch, dict(logs)))
    )
    assert list(history.columns) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert history["epoch"].tolist() == [1, 2]
    assert [epoch for epoch, _ in seen] == [1, 2]
    assert seen[1][1]["val_loss"] == history["val_loss"][1]


def connect(*steps: Callable[..., Any]) -> keras.Model:
    """Build a functional model of steps that each take what the one before gives."""
    values = pixels = keras.Input((6, 6, 1))
    for step in steps:
        values = step(values)
    return keras.Model(pixels, values)


def test_only_layers_in_a_row_are_taken_for_a_chain() -> None:
    first, second = (keras.layers.Conv2D(2, 1) for _ in range(2))
    shared = keras.layers.ReLU()

    assert network.is_chain(connect(first, second, keras.layers.Flatten()))
    # Of each of these, a row of its layers would compute something else.
    assert not network.is_chain(connect(first, lambda values: values * 2 + 1, second))
    assert not network.is_chain(connect(first, second, keras.ops.tanh))
    assert not network.is_chain(connect(first, lambda values: second(values) * values))
    assert not network.is_chain(connect(first, lambda v: keras.layers.Add()([second(v), v])))
    assert not network.is_chain(connect(shared, first, shared))


@pytest.mark.parametrize("optimizer", get_args(TrainParams.model_fields["optimizer"].annotation))
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_optimizer_and_schedule_are_what_params_name(
    params: Callable[..., Params], optimizer: str, schedule: str
) -> None:
    chosen = params(
        train__optimizer=optimizer, train__learning_rate_schedule=schedule, train__learning_rate=0.5
    )
    built = optimization.build_optimizer(chosen.train, steps=10)
    assert type(built).__name__.lower() == optimizer
    if schedule == "constant":
        assert float(built.learning_rate) == 0.5
    else:
        schedule_values = [float(built._learning_rate(step)) for step in (0, 5, 10)]
        np.testing.assert_allclose(schedule_values, [0.5, 0.25, 0], atol=1e-7)


def test_weight_decay_is_adamws(params: Callable[..., Params]) -> None:
    def decay(optimizer: str) -> float | None:
        chosen = params(train__optimizer=optimizer, train__weight_decay=0.02)
        found: float | None = optimization.build_optimizer(chosen.train, 1).weight_decay
        return found

    assert decay("adamw") == 0.02
    assert decay("adam") is None
    neutral = load_params(FROZEN["params.yaml"]).train.weight_decay
    assert neutral == keras.optimizers.AdamW().weight_decay  # as it was before it was a param


def test_early_stopping_restores_the_best_epoch(
    params: Callable[..., Params], split: Split
) -> None:
    # With other labels than those it is trained for, validation soon gets worse.
    val = Split(split.images, (split.labels + 1) % 10)
    chosen = params(train__epochs=40, train__early_stopping_patience=2, train__learning_rate=0.02)
    model, history = trainer.train_network(split, val, 10, chosen, ignore)
    best = int(history["val_loss"].to_numpy().argmin())
    assert len(history) == best + 1 + 2 < 40
    loss = cross_entropies(model, val).mean()
    np.testing.assert_allclose(loss, history["val_loss"][best], rtol=1e-4)


@pytest.mark.parametrize("batch_size", [8, 24])  # with one batch, only validation shows it
def test_diverged_training_names_the_param_to_lower(
    params: Callable[..., Params], split: Split, batch_size: int
) -> None:
    chosen = params(train__optimizer="sgd", train__learning_rate=1e30, train__batch_size=batch_size)
    with pytest.raises(
        PipelineError, match=r"loss is (nan|inf) in epoch \d: lower train.learning_rate"
    ):
        trainer.train_network(split, split, 10, chosen, ignore)


def test_model_for_other_images_is_refused(params: Callable[..., Params], split: Split) -> None:
    model = network.build_network(params().model, (32, 32, 3), classes=10)
    with pytest.raises(PipelineError, match=r"takes images of shape \(32, 32, 3\)"):
        evaluate.predict(model, split, 10)


def test_each_epoch_is_a_permutation_that_follows_from_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return list(map(int, epoch_loop.shuffle(24, seed, epoch)))

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (1, 2, 3)]
    assert all(sorted(each) == list(range(24)) for each in orders)
    assert len(set(map(tuple, orders))) == len(orders)
    assert order(1, 2) == orders[4]


@pytest.mark.parametrize("stage", ["prepare", "plot", "publish", "repro"])
def test_stages_without_the_model_do_not_import_tensorflow(stage: str) -> None:
    code = f"import sys, pipeline.{stage}; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
