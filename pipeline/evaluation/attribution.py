"""What a network computes on the way to its answer, and which pixels the answer comes from."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pipeline.core.arrays import ByteArray, FloatArray, chunks
from pipeline.model import outputs
from pipeline.model.runtime import EVALUATION_BATCH_SIZE, keras, tf

Forward = Callable[[ByteArray], tuple[dict[str, tf.Tensor], tf.Tensor]]

STEPS, MAX_STEPS = 32, 1024
BATCH = 32  # steps at a time


def layer_outputs(model: keras.Model, images: ByteArray) -> dict[str, FloatArray]:
    """Return the maps that a network names: `outputs.NAMED`.

    Args:
        model: what `network.build_network` builds.
        images: (N, height, width, channels), uint8; N is at least 1.

    Returns:
        Maps (N, h, w, filters), float32, by short names such as conv1_1 and pool1, in the order
        of the network; empty if it has no convolutions.
    """
    forward = _forward(model)
    batches = [forward(batch)[0] for batch in chunks(images, EVALUATION_BATCH_SIZE)]
    return {name: np.concatenate([maps[name] for maps in batches]) for name in batches[0]}


def first_kernel(model: keras.Model) -> FloatArray:
    """Return the weights of the first layer that has any, batch norm excepted.

    Args:
        model: what `network.build_network` builds.

    Returns:
        A convolution's (height, width, channels, filters), float32; of another layer, the weights
        of each unit in the shape of the image, (height, width, channels, units), if it reads whole
        images, or else in a column.
    """
    layers = outputs.run(model, keras.Input(model.input_shape[1:])).layers
    weights = (getattr(layer, "weights", []) for layer in layers)
    kernel = np.asarray(next(found[0] for found in weights if found and found[0].ndim > 1))
    if kernel.ndim == 4:
        return kernel
    image_shape = model.input_shape[1:]
    reads_all = len(kernel) == np.prod(image_shape)
    return kernel.reshape(*(image_shape if reads_all else (len(kernel), 1, 1)), -1)


def scores(model: keras.Model, images: ByteArray) -> FloatArray:
    """Return the score of each class, its logit before the softmax: (N, classes), float32.

    Args:
        model: what `network.build_network` builds.
        images: (N, height, width, channels), uint8; N is at least 1.
    """
    forward = _forward(model)
    return np.concatenate([forward(batch)[1] for batch in chunks(images, EVALUATION_BATCH_SIZE)])


def integrated_gradients(
    model: keras.Model,
    images: ByteArray,
    classes: npt.ArrayLike,
    steps: int = STEPS,
    tolerance: float = 0.01,
) -> FloatArray:
    """Return how much each value of an image adds to the scores of some classes.

    Integrated gradients from a black image: Sundararajan, Taly and Yan, "Axiomatic attribution
    for deep networks" (ICML 2017). The score is the logit, since the probability saturates: near
    1 it has no gradient left to attribute. Attributions add up to the difference between the
    image's score and the black image's (completeness), but for the error of the sum that stands
    for the integral. The gradient of a ReLU network jumps, and how often depends on the network:
    so steps are doubled until the sum is near enough.

    Args:
        model: what `network.build_network` builds.
        images: (N, height, width, channels), uint8.
        classes: that are scored, (N, K), for each image.
        steps: of the Gauss-Legendre quadrature, between black and the image, to begin with.
        tolerance: by which the sum may miss the difference, as a fraction of it. It is not reached
            where MAX_STEPS are too few, as for a difference near 0.

    Returns:
        Attributions (N, K, height, width, channels), float32, in units of the logit.
    """
    scored = np.asarray(classes, np.int32)
    found = np.empty((*scored.shape, *images.shape[1:]), np.float32)
    black = np.zeros((1, *images.shape[1:]), np.uint8)
    *reached, of_black = scores(model, np.concatenate([images, black]))
    for place, chosen in enumerate(scored):
        gained = reached[place][chosen] - of_black[chosen]
        taken, is_far = steps, np.full(len(chosen), fill_value=True)
        while True:
            found[place, is_far] = _integrate(model, images[place], chosen, taken)[is_far]
            missed = abs(found[place].sum(axis=(1, 2, 3)) - gained)
            is_far = missed > tolerance * abs(gained)
            if not is_far.any() or taken >= MAX_STEPS:
                break
            taken *= 2
    return found


# Tracing takes longer than many calls, so traced functions are kept, for two models: a page may
# compare the present one with the champion.
@lru_cache(maxsize=2)
def _forward(model: keras.Model) -> Forward:
    """Return a function that returns the maps of images by their names, and their scores."""

    def forward(images: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        seen = outputs.run(model, images)
        return seen.maps, seen.logits()

    images = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
    traced: Forward = tf.function(forward, input_signature=[images], autograph=False)
    return traced


def _integrate(
    model: keras.Model, image: ByteArray, chosen: npt.NDArray[np.int32], steps: int
) -> FloatArray:
    nodes, weights = _quadrature(steps)
    attribute = _attribution(model, len(chosen))
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
def _attribution(model: keras.Model, classes: int) -> Callable[..., tf.Tensor]:
    """Return a function that attributes an image's scores for so many classes, in parts.

    It takes the image, the classes, and nodes and weights of a part of the quadrature. What the
    network computes on the way to its scores, all classes share.
    """

    def attribute(
        image: tf.Tensor, chosen: tf.Tensor, nodes: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        pixels = tf.cast(image, tf.float32)
        path = nodes[:, None, None, None] * pixels
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(path)
            logits = outputs.run(model, path).logits()
            scored = [logits[:, chosen[place]] for place in range(classes)]
        gradients = [tape.gradient(score, path) for score in scored]
        return tf.stack([pixels * tf.tensordot(weights, found, 1) for found in gradients])

    image, part = tf.TensorSpec(model.input_shape[1:], tf.uint8), tf.TensorSpec((None,), tf.float32)
    chosen = tf.TensorSpec((classes,), tf.int32)
    traced: Callable[..., tf.Tensor] = tf.function(
        attribute, input_signature=[image, chosen, part, part], autograph=False
    )
    return traced
