"""Fused batch norm on the real TensorFlow, compared with Keras's layer."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.model.runtime import keras, tf
from pipeline.training import replicas
from pipeline.training.batch_norm import FusedBatchNormalization, choose_batch_norm

Values = npt.NDArray[np.float32]
SHAPES = pytest.mark.parametrize("shape", [(7, 3), (5, 4, 6, 3), (1, 3)])


def draw(shape: tuple[int, ...]) -> Values:
    return np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)


def build(kind: type[keras.Layer], rank: int, dtype: str = "float32") -> keras.Layer:
    """Return a layer for three channels whose weights are not the initial ones."""
    layer = kind(momentum=0.7, dtype=dtype)
    layer.build((None,) * (rank - 1) + (3,))
    layer.set_weights(np.array([[2, 0.5, -1], [1, -3, 0], [0.5, 2, -1], [3, 0.1, 1]]))
    return layer


def learn(layer: keras.Layer, inputs: Values) -> list[Values]:
    """Return outputs, moving statistics, and gradients for inputs and weights, of one step."""
    given = tf.cast(inputs, layer.compute_dtype)
    with tf.GradientTape() as tape:
        tape.watch(given)
        outputs = layer(given, training=True)
        loss = tf.reduce_sum(tf.cast(outputs, "float32") * tf.sin(inputs))
    weights = [weight.value for weight in layer.trainable_weights]
    found: Sequence[Any] = (outputs, *layer.non_trainable_weights)
    gradients = tape.gradient(loss, [given, *weights])
    return [np.asarray(tf.cast(values, "float32")) for values in (*found, *gradients)]


@SHAPES
def test_training_does_what_kerass_layer_does(shape: tuple[int, ...]) -> None:
    kinds = (FusedBatchNormalization, keras.layers.BatchNormalization)
    fused, expected = (learn(build(kind, len(shape)), draw(shape)) for kind in kinds)
    for found, value in zip(fused, expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-4)


@SHAPES
def test_evaluation_is_that_of_kerass_layer(shape: tuple[int, ...]) -> None:
    kinds = (FusedBatchNormalization, keras.layers.BatchNormalization)
    fused, expected = (build(kind, len(shape))(draw(shape), training=False) for kind in kinds)
    np.testing.assert_array_equal(fused, expected)


def test_inputs_in_bfloat16_stay_so_and_statistics_are_float32() -> None:
    inputs = np.asarray(tf.cast(tf.cast(draw((64, 4, 4, 3)), "bfloat16"), "float32"))
    layer = build(FusedBatchNormalization, 4, "mixed_bfloat16")
    assert layer(tf.cast(inputs, "bfloat16"), training=True).dtype == tf.bfloat16
    assert {weight.dtype for weight in layer.weights} == {"float32"}
    layer = build(FusedBatchNormalization, 4, "mixed_bfloat16")
    outputs, mean, variance, *_ = learn(layer, inputs)
    exact, exact_mean, exact_variance, *_ = learn(build(keras.layers.BatchNormalization, 4), inputs)
    np.testing.assert_allclose(outputs, exact, rtol=2**-8, atol=1e-5)  # 8 bits
    np.testing.assert_allclose(mean, exact_mean, rtol=1e-5)
    np.testing.assert_allclose(variance, exact_variance, rtol=1e-5)


def test_layer_is_fused_on_one_cpu_and_kerass_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (SimpleNamespace(num_replicas_in_sync=count) for count in (1, 2))
    monkeypatch.setattr(replicas, "accelerators", list)
    assert choose_batch_norm(one) is FusedBatchNormalization
    together = choose_batch_norm(two)()
    assert (type(together), together.synchronized) == (keras.layers.BatchNormalization, True)
    monkeypatch.setattr(replicas, "accelerators", lambda: ["/device:GPU:0"])
    alone = choose_batch_norm(one)()
    assert (type(alone), alone.synchronized) == (keras.layers.BatchNormalization, False)
