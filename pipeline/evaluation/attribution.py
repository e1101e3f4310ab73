"""What a network computes on the way to its answer, and which pixels the answer comes from."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pipeline.core.arrays import ByteArray, FloatArray, chunks
from pipeline.model.runtime import EVALUATION_BATCH_SIZE, keras, tf

STEPS, MAX_STEPS = 32, 1024
BATCH = 32  # steps at a time


def layer_outputs(model: keras.Model, images: ByteArray) -> dict[str, FloatArray]:
    """Return the maps of each convolution, after its ReLU, and of each pooling.

    Args:
        model: what `network.build_network` builds.
        images: (N, height, width, channels), uint8; N is at least 1.

    Returns:
        Maps (N, h, w, filters), float32, by short names such as conv1_1 and pool1, in the order
        of the network; empty if it has no convolutions.
    """
    names, forward = _forward(model)
    batches = [forward(batch)[:-1] for batch in chunks(images, EVALUATION_BATCH_SIZE)]
    return {
        name: np.concatenate([maps[place] for maps in batches]) for place, name in enumerate(names)
    }


def first_kernel(model: keras.Model) -> FloatArray:
    """Return the weights of the first layer that has any.

    Args:
        model: what `network.build_network` builds.

    Returns:
        A convolution's (height, width, channels, filters), float32; of a dense layer, the weights
        of each unit in the shape of the image: (height, width, channels, units).
    """
    kernel = np.asarray(next(layer.kernel for layer in model.layers if layer.weights))
    return kernel if kernel.ndim == 4 else kernel.reshape(*model.input_shape[1:], -1)


def scores(model: keras.Model, images: ByteArray) -> FloatArray:
    """Return the score of each class, its logit before the softmax: (N, classes), float32.

    Args:
        model: what `network.build_network` builds.
        images: (N, height, width, channels), uint8; N is at least 1.
    """
    _, forward = _forward(model)
    return np.concatenate([forward(batch)[-1] for batch in chunks(images, EVALUATION_BATCH_SIZE)])


def integrated_gradients(
    model: keras.Model,
    images: ByteArray,
    classes: npt.ArrayLike,
    steps: int = STEPS,
    tolerance: float = 0.01,
) -> FloatArray:
    """Return how much each value of an image adds to the score of a class.

    Integrated gradients from a black image: Sundararajan, Taly and Yan, "Axiomatic attribution
    for deep networks" (ICML 2017). The score is the logit, since the probability saturates: near
    1 it has no gradient left to attribute. Attributions add up to the difference between the
    image's score and the black image's (completeness), but for the error of the sum that stands
    for the integral. The gradient of a ReLU network jumps, and how often depends on the network:
    so steps are doubled until the sum is near enough.

    Args:
        model: what `network.build_network` builds.
        images: (N, height, width, channels), uint8.
        classes: that are scored, (N,), one for each image.
        steps: of the Gauss-Legendre quadrature, between black and the image, to begin with.
        tolerance: by which the sum may miss the difference, as a fraction of it. It is not reached
            where MAX_STEPS are too few, as for a difference near 0.

    Returns:
        Attributions of the shape of `images`, float32, in units of the logit.
    """
    found = np.empty(images.shape, np.float32)
    black = np.zeros((1, *images.shape[1:]), np.uint8)
    *reached, of_black = scores(model, np.concatenate([images, black]))
    for place, chosen in enumerate(np.asarray(classes, np.int32)):
        gained = reached[place][chosen] - of_black[chosen]
        taken = steps
        while True:
            found[place] = _integrate(model, images[place], chosen, taken)
            missed = abs(found[place].sum() - gained)
            if missed <= tolerance * abs(gained) or taken >= MAX_STEPS:
                break
            taken *= 2
    return found


# Tracing takes longer than many calls, so traced functions are kept, for two models: a page may
# compare the present one with the champion.
@lru_cache(maxsize=2)
def _forward(model: keras.Model) -> tuple[list[str], Callable[[ByteArray], list[tf.Tensor]]]:
    """Return the names of the maps, and a function that returns these and then the scores."""
    shown = [
        layer.name
        for layer in model.layers
        if layer.name.startswith("pool")
        or (layer.name.startswith("conv") and layer.name.endswith("_relu"))
    ]

    def forward(images: tf.Tensor) -> list[tf.Tensor]:
        values, maps = images, []
        for layer in model.layers[:-1]:
            values = layer(values)
            if layer.name in shown:
                maps.append(values)
        return [*maps, _logits(model, values)]

    images = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
    names = [name.removesuffix("_relu") for name in shown]
    return names, tf.function(forward, input_signature=[images])


def _integrate(model: keras.Model, image: ByteArray, chosen: np.int32, steps: int) -> FloatArray:
    nodes, weights = _quadrature(steps)
    attribute = _attribution(model)
    starts = range(0, steps, BATCH)
    parts = [
        attribute(image, chosen, nodes[start : start + BATCH], weights[start : start + BATCH])
        for start in starts
    ]
    total: FloatArray = np.sum(parts, axis=0)
    return total


@lru_cache
def _quadrature(steps: int) -> tuple[FloatArray, FloatArray]:
    """Return where between 0 and 1 to look, and how much that counts."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # from -1 to 1
    return ((nodes + 1) / 2).astype(np.float32), (weights / 2).astype(np.float32)


@lru_cache(maxsize=2)
def _attribution(model: keras.Model) -> Callable[..., tf.Tensor]:
    """Return a function that attributes an image's score for a class, in parts.

    It takes the image, the class, and nodes and weights of a part of the quadrature.
    """

    def attribute(
        image: tf.Tensor, chosen: tf.Tensor, nodes: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        pixels = tf.cast(image, tf.float32)
        path = nodes[:, None, None, None] * pixels
        with tf.GradientTape() as tape:
            tape.watch(path)
            values = path  # layer by layer: a whole Keras model would round its input
            for layer in model.layers[:-1]:
                values = layer(values)
            score = _logits(model, values)[:, chosen]
        return pixels * tf.tensordot(weights, tape.gradient(score, path), 1)

    image, label = tf.TensorSpec(model.input_shape[1:], tf.uint8), tf.TensorSpec((), tf.int32)
    part = tf.TensorSpec((None,), tf.float32)
    traced: Callable[..., tf.Tensor] = tf.function(
        attribute, input_signature=[image, label, part, part]
    )
    return traced


def _logits(model: keras.Model, values: tf.Tensor) -> tf.Tensor:
    probabilities = model.layers[-1]
    return values @ probabilities.kernel + probabilities.bias
