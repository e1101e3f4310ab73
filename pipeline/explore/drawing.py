"""From strokes of a pen to an image like those that the network was trained on."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from pipeline.core.arrays import ByteArray

Stroke = Sequence[tuple[float, float]]  # points x, y, from the top left

FILLED = 20 / 28  # the share of the height and width that a digit of MNIST fits into
PEN = 1 / 14  # its width, as a share of the side of the pad


def draw(strokes: Sequence[Stroke], size: tuple[int, int], pen: float) -> ByteArray:
    """Draw strokes in white on black.

    Args:
        strokes: their points; a stroke of one point is a dot.
        size: height and width of the picture; what lies outside is cut off.
        pen: its width.

    Returns:
        The picture (height, width), uint8.
    """
    picture = Image.new("L", (size[1], size[0]))
    canvas = ImageDraw.Draw(picture)
    for stroke in strokes:
        canvas.line(list(stroke), fill=255, width=round(pen))
        for x, y in stroke:  # round ends and joints
            canvas.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return np.array(picture)


def centre(ink: ByteArray, shape: tuple[int, int]) -> ByteArray:
    """Scale and centre a picture as the images of MNIST were.

    "The original black and white (bilevel) images from NIST were size normalized to fit in a
    20x20 pixel box while preserving their aspect ratio. The resulting images contain grey levels
    as a result of the anti-aliasing technique used by the normalization algorithm. The images
    were centered in a 28x28 image by computing the center of mass of the pixels, and translating
    the image so as to position this point at the center of the 28x28 field." (LeCun, Cortes and
    Burges, "The MNIST database of handwritten digits"; also LeCun et al., "Gradient-based
    learning applied to document recognition", Proceedings of the IEEE 86(11), 1998, III.A.)

    For images of another shape, the box is the same share of them. The centre of 28 pixels is
    pixel 14, counted from 0: around it lie the centres of mass of MNIST's own images.

    Args:
        ink: (height, width), uint8, 0 where nothing was drawn.
        shape: height and width of the image to make.

    Returns:
        The image, uint8; black if there is no ink.
    """
    image = np.zeros(shape, np.uint8)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return image
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = min(FILLED * side / drawn for side, drawn in zip(shape, cropped.shape, strict=True))
    height, width = (max(1, round(scale * side)) for side in cropped.shape)
    # Each pixel becomes the mean of what it covers.
    scaled = np.array(Image.fromarray(cropped).resize((width, height), Image.Resampling.BOX))
    top = _offset(scaled.sum(axis=1), shape[0])
    left = _offset(scaled.sum(axis=0), shape[1])
    image[top : top + height, left : left + width] = scaled
    return image


def _offset(masses: ByteArray, side: int) -> int:
    """Return where rows or columns begin so that their centre of mass is the centre of `side`.

    A very uneven drawing stays off the centre, rather than lose what would not fit.
    """
    centre_of_mass = np.average(np.arange(len(masses)), weights=masses)
    return int(np.clip(round(side / 2 - centre_of_mass), 0, side - len(masses)))
