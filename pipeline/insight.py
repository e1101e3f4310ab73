"""What a network computes on the way to its answer, and which pixels the answer comes from."""

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.arrays import ByteArray
from pipeline.runtime import EVALUATION_BATCH_SIZE, keras

FloatArray = npt.NDArray[np.float32]
STEPS = 32  # with the lesson's network, attributions then add up to within 0.1%


def layer_outputs(model: keras.Model, images: ByteArray) -> dict[str, FloatArray]:
    """Return the maps of each convolution, after its ReLU, and of each pooling.

    Args:
        model: what `network.build_network` builds.
        images: (N, height, width, channels), uint8.

    Returns:
        Maps (N, h, w, filters), float32, by short names such as conv1_1 and pool1, in the order
        of the network; empty if it has no convolutions.
    """
    names, forward = _forward(model)
    maps = [forward(batch)[:-1] for batch in _batches(images)]
    return {
        name: np.concatenate([np.asarray(part[place]) for part in maps])
        for place, name in enumerate(names)
    }


def scores(model: keras.Model, images: ByteArray) -> FloatArray:
    """Return the score of each class, its logit before the softmax: (N, classes), float32.

    Args:
        model: what `network.build_network` builds.
        images: (N, height, width, channels), uint8.
    """
    _, forward = _forward(model)
    return np.concatenate([np.asarray(forward(batch)[-1]) for batch in _batches(images)])


def integrated_gradients(
    model: keras.Model, images: ByteArray, classes: npt.ArrayLike, steps: int = STEPS
) -> FloatArray:
    """Return how much each value of an image adds to the score of a class.

    Integrated gradients from a black image: Sundararajan, Taly and Yan, "Axiomatic attribution
    for deep networks" (ICML 2017). The score is the logit, since the probability saturates: near
    1 it has no gradient left to attribute. Attributions add up to the difference between the
    image's score and the black image's (completeness), but for the error of the sum that stands
    for the integral: the gradient of a ReLU network jumps, so more steps help only slowly.

    Args:
        model: what `network.build_network` builds.
        images: (N, height, width, channels), uint8.
        classes: that are scored, (N,), one for each image.
        steps: of the Gauss-Legendre quadrature, between black and the image.

    Returns:
        Attributions of the shape of `images`, float32, in units of the logit.
    """
    attribute = _attribution(model)
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # on -1 to 1
    fractions, weights = (nodes + 1).astype(np.float32) / 2, weights.astype(np.float32) / 2
    found = [
        attribute(image, np.int32(label), fractions, weights)
        for image, label in zip(images, np.asarray(classes), strict=True)
    ]
    return np.array(found, dtype=np.float32).reshape(images.shape)


def _batches(images: ByteArray) -> Iterator[ByteArray]:
    """Yield batches of a fixed size, at least one, also where there are no images."""
    for start in range(0, max(1, len(images)), EVALUATION_BATCH_SIZE):
        yield images[start : start + EVALUATION_BATCH_SIZE]


# Tracing takes longer than many calls, so functions are kept: for the champion and the present
# model, which the interactive page compares.
@lru_cache(maxsize=2)
def _forward(model: keras.Model) -> tuple[list[str], Callable[[ByteArray], list[tf.Tensor]]]:
    """Return the names of the maps, and a function that returns them and then the scores."""
    shown = {
        layer.name: layer.name.removesuffix("_relu")
        for layer in model.layers
        if layer.name.startswith("pool")
        or (layer.name.startswith("conv") and layer.name.endswith("_relu"))
    }

    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)])  # type: ignore[untyped-decorator]
    def forward(images: tf.Tensor) -> list[tf.Tensor]:
        values, maps = images, []
        for layer in model.layers[:-1]:
            values = layer(values)
            if layer.name in shown:
                maps.append(values)
        return [*maps, _logits(model, values)]

    return list(shown.values()), forward


@lru_cache(maxsize=2)
def _attribution(
    model: keras.Model,
) -> Callable[[ByteArray, np.int32, FloatArray, FloatArray], tf.Tensor]:
    """Return a function that attributes the score of one image for one class."""

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec(model.input_shape[1:], tf.uint8),
            tf.TensorSpec((), tf.int32),
            tf.TensorSpec((None,), tf.float32),
            tf.TensorSpec((None,), tf.float32),
        ]
    )
    def attribute(
        image: tf.Tensor, label: tf.Tensor, fractions: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        pixels = tf.cast(image, tf.float32)
        path = fractions[:, None, None, None] * pixels
        with tf.GradientTape() as tape:
            tape.watch(path)
            values = path  # not through the input layer, which takes whole numbers
            for layer in model.layers[:-1]:
                values = layer(values)
            score = _logits(model, values)[:, label]
        return pixels * tf.tensordot(weights, tape.gradient(score, path), 1)

    return attribute


def _logits(model: keras.Model, values: tf.Tensor) -> tf.Tensor:
    last = model.layers[-1]
    return values @ last.kernel + last.bias
