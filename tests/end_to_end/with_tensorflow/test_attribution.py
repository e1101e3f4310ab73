"""What the network sees, on the real TensorFlow with small random networks."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from pipeline import evaluate
from pipeline.core.arrays import ByteArray, Split
from pipeline.evaluation import attribution, scores, selection
from pipeline.model import network, outputs
from pipeline.model.runtime import keras
from pipeline.provenance.params import load_params
from tests.conftest import FROZEN

Shape = tuple[int, int, int]
Build = Callable[[Shape], keras.Model]
shapes = pytest.mark.parametrize("shape", [(12, 14, 1), (16, 16, 3)])


def build(
    shape: Shape,
    conv_blocks: Sequence[Sequence[int]] = ((2, 3), (4,)),
    dense_units: Sequence[int] = (5,),
    batch_norm: bool = False,
    residual: bool = False,
) -> keras.Model:
    """A network of 4 classes with dropout and random weights, batch norm's statistics included."""
    params = load_params(FROZEN["params.yaml"]).model.model_copy(
        update={
            "conv_blocks": [*map(list, conv_blocks)],
            "dense_units": [*dense_units],
            "dropout": 0.5,
            "batch_norm": batch_norm,
            "residual": residual,
        }
    )
    return randomize(network.build_network(params, shape, classes=4))


def build_nested(shape: Shape) -> keras.Model:
    """A functional network whose layers are models, and whose softmax is a layer of its own."""
    layers = keras.layers
    read = keras.Input((None, None, 4))
    values = layers.Conv2D(4, 3, padding="same", name="conv")(read)
    values = layers.Dropout(0.5)(keras.ops.tanh(values))
    values = layers.Add(name="add_maps")([values, read])
    block = keras.Model(read, values, name="block")
    pixels = keras.Input(shape, dtype="uint8")
    values = layers.Rescaling(1 / 255)(pixels)
    values = layers.SeparableConv2D(4, 3, name="stem")(values)
    values = block(values)
    tail = [layers.Conv2D(3, 2, name="conv"), layers.ReLU(name="conv_relu"), layers.Dropout(0.5)]
    values = keras.Sequential(tail, name="tail")(values)
    values = layers.Dense(4)(layers.GlobalAveragePooling2D()(values))
    return randomize(keras.Model(pixels, layers.Softmax()(values)))


def randomize(model: keras.Model) -> keras.Model:
    random = np.random.default_rng(0)
    for weight in model.weights:
        low = 0.1 if "moving" in weight.name else -0.5  # a variance is positive
        weight.assign(random.uniform(low, 0.6, weight.shape))
    return model


def random_images(shape: Shape, count: int = 3) -> ByteArray:
    return np.random.default_rng(1).integers(0, 256, (count, *shape), dtype=np.uint8)


def test_maps_follow_convolution_relu_and_pooling_by_hand() -> None:
    model = build((4, 4, 1), conv_blocks=[[1]], dense_units=[])
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[0, 0], kernel[2, 2] = 255, -255  # undoes the scaling: upper left minus lower right
    model.get_layer("conv1_1").set_weights([kernel, np.array([2], np.float32)])
    image = np.array([[9, 8, 0, 0], [7, 6, 0, 0], [0, 0, 4, 20], [0, 0, 3, 5]], np.uint8)

    maps = attribution.layer_outputs(model, image[None, :, :, None])

    assert list(maps) == ["conv1_1", "pool1"]
    assert_allclose(maps["conv1_1"][0, :, :, 0], [[9 - 4 + 2, 0], [7 - 3 + 2, 6 - 5 + 2]], 1e-5)
    assert_allclose(maps["pool1"], [[[[7]]]], 1e-5)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_maps_are_those_of_the_network_in_its_order(batch_norm: bool) -> None:
    model, images = build((12, 14, 1), batch_norm=batch_norm), random_images((12, 14, 1), 260)

    maps = attribution.layer_outputs(model, images)

    assert {name: values.shape for name, values in maps.items()} == {
        "conv1_1": (260, 10, 12, 2),
        "conv1_2": (260, 8, 10, 3),
        "pool1": (260, 4, 5, 3),
        "conv2_1": (260, 2, 3, 4),
        "pool2": (260, 1, 1, 4),
    }
    assert list(maps) == ["conv1_1", "conv1_2", "pool1", "conv2_1", "pool2"]
    for name, values in maps.items():
        layer = model.get_layer(name if name.startswith("pool") else f"{name}_relu")
        expected = keras.Model(model.inputs, layer.output).predict_on_batch(images)
        assert_allclose(values, expected, rtol=1e-4, atol=1e-5)
        assert values.dtype == np.float32


def test_maps_of_residual_blocks_follow_the_shortcut() -> None:
    model, images = build((12, 14, 1), residual=True), random_images((12, 14, 1))

    maps = attribution.layer_outputs(model, images)

    assert {name: values.shape for name, values in maps.items()} == {
        "conv1_1": (3, 12, 14, 2),
        "add1": (3, 12, 14, 3),
        "pool1": (3, 6, 7, 3),
        "add2": (3, 6, 7, 4),
        "pool2": (3, 3, 3, 4),
    }
    pixels = images / 255
    (projection,), bias = model.get_layer("shortcut1").get_weights()
    convolved = model.get_layer("conv1_2")(maps["conv1_1"])
    expected = np.maximum(convolved + (pixels @ projection[0] + bias), 0)
    assert_allclose(maps["add1"], expected, rtol=1e-4, atol=1e-5)


def test_maps_of_nested_models_have_their_names_before_them_and_may_be_negative() -> None:
    model, images = build_nested((12, 14, 1)), random_images((12, 14, 1))

    maps = attribution.layer_outputs(model, images)

    assert list(maps) == ["block/add", "tail/conv"]
    stem = model.get_layer("stem")(images / np.float32(255))
    inner = stem + np.tanh(model.get_layer("block").get_layer("conv")(stem))
    assert_allclose(maps["block/add"], inner, rtol=1e-4, atol=1e-5)
    tail = np.maximum(model.get_layer("tail").get_layer("conv")(inner), 0)
    assert_allclose(maps["tail/conv"], tail, rtol=1e-4, atol=1e-5)
    assert attribution.first_kernel(model).shape == (3, 3, 1, 1)  # by channel


def test_network_that_does_not_end_in_its_softmax_is_refused() -> None:
    pixels = keras.Input((4, 4, 1), dtype="uint8")
    read = keras.layers.Flatten()(pixels)
    model = keras.Model(pixels, keras.layers.Dense(4, name="logits")(read), name="classifier")
    with pytest.raises(ValueError, match="classifier: its last layer, logits, must be a softmax"):
        outputs.run(model, keras.Input((4, 4, 1)))


def test_network_without_convolutions_has_no_maps() -> None:
    model = build((12, 14, 1), conv_blocks=[])
    assert attribution.layer_outputs(model, random_images((12, 14, 1))) == {}


@pytest.mark.parametrize("build", [partial(build, batch_norm=True), build_nested])
def test_scores_are_what_softmax_makes_probabilities_of(build: Build) -> None:
    model, images = build((16, 16, 3)), random_images((16, 16, 3), 260)
    scores = attribution.scores(model, images)
    assert_allclose(keras.ops.softmax(scores), model.predict_on_batch(images), 1e-4, 1e-6)


@shapes
@pytest.mark.parametrize(
    "build",
    [
        partial(build, conv_blocks=[[8, 8], [16]], dense_units=[32]),
        partial(build, conv_blocks=[[8, 8], [16]], dense_units=[32], batch_norm=True),
        partial(build, conv_blocks=[[8, 8], [16]], dense_units=[32], residual=True),
        build_nested,
    ],
    ids=["plain", "batch norm", "residual", "nested"],
)
def test_attributions_add_up_to_the_difference_in_the_score(shape: Shape, build: Build) -> None:
    model = build(shape)
    images, classes = random_images(shape, 4), np.array([[3, 1], [0, 2], [1, 3], [3, 0]])
    black = np.zeros((1, *shape), np.uint8)
    gained = attribution.scores(model, images) - attribution.scores(model, black)
    expected = np.take_along_axis(gained, classes, axis=1)

    attributions = attribution.integrated_gradients(model, images, classes)

    assert attributions.shape == (4, 2, *shape)
    assert attributions.dtype == np.float32
    assert np.ptp(expected) > 0.1
    assert_allclose(attributions.sum(axis=(2, 3, 4)), expected, rtol=0.01)


@shapes
def test_attributions_of_a_linear_network_are_weight_times_pixel(shape: Shape) -> None:
    model, images = build(shape, conv_blocks=[], dense_units=[]), random_images(shape)
    kernel, _ = model.get_layer("probabilities").get_weights()

    classes = [[2, 1], [2, 0], [0, 1]]
    attributions = attribution.integrated_gradients(model, images, classes, steps=1)

    expected = images[:, None] / 255 * kernel.T.reshape(-1, *shape)[classes]
    assert_allclose(attributions, expected, rtol=1e-4, atol=1e-7)


def test_repeated_calls_build_no_new_graph() -> None:
    model, images = build((12, 14, 1)), random_images((12, 14, 1))

    for count in (1, 2, 3):
        attribution.scores(model, images[:count])
        attribution.integrated_gradients(model, images[:count], [[place] for place in range(count)])

    functions: list[Any] = [attribution._forward(model), attribution._attribution(model, 1)]
    assert [function.experimental_get_tracing_count() for function in functions] == [1, 1]


def test_no_images_have_no_attributions() -> None:
    none, classes = random_images((16, 16, 3), 0), np.empty((0, 2), int)
    attributions = attribution.integrated_gradients(build((16, 16, 3)), none, classes)
    assert attributions.shape == (0, 2, 16, 16, 3)


@shapes
def test_observations_are_of_the_confident_errors_and_of_the_images_asked_for(
    shape: Shape,
) -> None:
    model, images = build(shape), random_images(shape, 30)
    test = Split(images, (np.arange(30) % 4).astype(np.uint8))
    probabilities = evaluate.predict(model, test, 4)
    predictions = scores.tabulate(probabilities, test.labels, ["a", "b", "c", "d"])

    seen = evaluate.observe(model, test, probabilities, predictions, [7, 2])

    last = selection.confident_errors(predictions).iloc[-1]
    for place, name in enumerate([last["predicted"], last["label"]]):
        alone = [["abcd".index(name)]]
        ((one,),) = attribution.integrated_gradients(model, images[[last["image"]]], alone)
        assert_allclose(seen.attributions[-1, place], one, rtol=1e-4, atol=1e-5)
    errors = int((predictions["label"] != predictions["predicted"]).sum())
    assert seen.attributions.shape == (min(24, errors), 2, *shape)
    assert_array_equal(seen.followed, [7, 2])
    assert seen.maps["conv1_1"].shape == (2, shape[0] - 2, shape[1] - 2, 2)
    assert_array_equal(seen.kernel, model.get_layer("conv1_1").kernel)
    logits = attribution.scores(model, images)
    rivals = np.where(np.eye(4, dtype=bool)[test.labels], -np.inf, logits)
    assert_array_equal(seen.rivals, rivals.argmax(axis=1))
    margins = logits[range(30), test.labels] - rivals.max(axis=1)
    assert_allclose(seen.margins, margins, rtol=1e-3, atol=1e-4)


def test_kernel_of_a_layer_that_reads_no_whole_image_is_a_column() -> None:
    pixels = keras.Input((12, 14, 3), dtype="uint8")
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pixels))
    dense = keras.layers.Dense(4, activation="softmax")
    model = keras.Model(pixels, dense(means))
    assert_array_equal(attribution.first_kernel(model)[:, 0, 0], dense.kernel)


def test_kernel_of_a_dense_layer_has_the_shape_of_the_image() -> None:
    model = build((12, 14, 3), conv_blocks=[])
    kernel = attribution.first_kernel(model)
    assert kernel.shape == (12, 14, 3, 5)
    image = random_images((12, 14, 3), 1)
    (weighted,) = model.get_layer("dense1")(image.reshape(1, -1)).numpy()
    bias = model.get_layer("dense1").bias.numpy()
    assert_allclose(np.einsum("hwc,hwcu->u", image[0], kernel) + bias, weighted, rtol=1e-4)
