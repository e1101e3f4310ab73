"""Training images that are zoomed, rotated and shifted at random, as they would still be read."""

import math

from pipeline.model.runtime import keras, tf
from pipeline.training.params import AugmentationParams


class RandomAffine(keras.Layer):  # type: ignore[misc]
    """Move images at random in training; in validation and prediction leave them as they are.

    Each image is zoomed along its two axes, then rotated about its centre, then shifted, each by
    an amount of its own, drawn evenly from -1 to 1 times the bound. Keras has a layer for each of
    the three; here they are one transformation, so that images are interpolated (bilinearly) only
    once. What comes in from outside an image is 0, the black around digits.
    """

    def __init__(self, params: AugmentationParams, seed: int) -> None:
        super().__init__(name="augmentation")
        self._params = params
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return images of the same shape and type as `images`, (B, height, width, channels)."""
        if not training:
            return images
        count = keras.ops.shape(images)[0]
        draws = keras.random.uniform((5, count), -1, 1, seed=self.seed_generator)
        return move_images(
            images,
            rotation=draws[0] * self._params.rotation,
            shift=draws[1:3] * self._params.shift,
            zoom=draws[3:5] * self._params.zoom,
        )


def move_images(
    images: tf.Tensor, rotation: tf.Tensor, shift: tf.Tensor, zoom: tf.Tensor
) -> tf.Tensor:
    """Zoom, rotate and shift each image by its own amounts.

    Args:
        images: (B, height, width, channels), of any type; it is kept, and pixels are rounded.
        rotation: (B,), in degrees, counterclockwise.
        shift: (2, B), downwards and to the right, as fractions of height and width.
        zoom: (2, B), along height and width: 0.1 enlarges by a tenth, -0.1 shrinks by one.
    """
    ops = keras.ops
    height, width = images.shape[1:3]
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    angle = rotation * (math.pi / 180)
    cos, sin = ops.cos(angle), ops.sin(angle)
    # A transformation says from where in the old image a pixel of the new one comes: with
    # offsets from the centre, old = zoom^-1 rotation^-1 (new - shift). y points downwards.
    scale_y, scale_x = 1 / (1 + zoom[0]), 1 / (1 + zoom[1])
    x_by_x, x_by_y = scale_x * cos, -scale_x * sin
    y_by_x, y_by_y = scale_y * sin, scale_y * cos
    moved_y, moved_x = centre_y + shift[0] * height, centre_x + shift[1] * width
    x_offset = centre_x - x_by_x * moved_x - x_by_y * moved_y
    y_offset = centre_y - y_by_x * moved_x - y_by_y * moved_y
    zero = ops.zeros_like(angle)
    matrix = [x_by_x, x_by_y, x_offset, y_by_x, y_by_y, y_offset, zero, zero]
    moved = ops.image.affine_transform(
        ops.cast(images, "float32"), ops.stack(matrix, axis=1), interpolation="bilinear"
    )
    return ops.cast(ops.round(moved), images.dtype)
