"""Arrays as pictures, whose pixels are whole squares of dots: nothing is blurred.

A picture is (height, width, 3), uint8; a stack of them is (N, height, width, 3).
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from PIL import Image

from pipeline.core.arrays import ByteArray, FloatArray
from pipeline.figures.figure_style import BLUE, PALE, VERMILLION

COLUMNS = 16  # most numbers of filters are a multiple of it
LARGEST = 96  # dots that the side of a picture among many has

Scalar = TypeVar("Scalar", np.uint8, np.float32)

_diverging = LinearSegmentedColormap.from_list("diverging", [BLUE, "white", VERMILLION])
_DIVERGING = np.rint(_diverging(np.arange(256))[:, :3] * 255).astype(np.uint8)
_PALE = np.rint(np.array(to_rgb(PALE)) * 255).astype(np.uint8)


def show_images(images: ByteArray, colours: str) -> ByteArray:
    """Return images as a stack of pictures.

    Args:
        images: (N, height, width, channels).
        colours: of grey ones, `gray_r` (black for 255) or `gray` (white for 255), as
            `picture_parts.grey_colours` has them.
    """
    if images.shape[-1] == 3:
        return images
    levels: ByteArray = 255 - images if colours == "gray_r" else images
    return levels.repeat(3, axis=-1)


def to_levels(values: FloatArray, limit: float) -> ByteArray:
    """Return values from -limit to limit as levels from 0 to 255; those beyond are cut off."""
    scale = 127.5 / limit if limit else 0
    levels: ByteArray = np.rint(np.clip(values * scale, -127.5, 127.5) + 127.5).astype(np.uint8)
    return levels


def show_signed(values: FloatArray, limit: float) -> ByteArray:
    """Return values as colours, from blue for -limit over white to vermillion for limit.

    Args:
        values: of any shape, which gets one more axis, of the colour's 3 channels.
        limit: at least 0.
    """
    colours: ByteArray = _DIVERGING[to_levels(values, limit)]
    return colours


def fit(picture: ByteArray, side: int) -> ByteArray:
    """Return a picture in the middle of a white square, as large as whole pixels allow.

    Where it has more pixels than the square has dots, each dot is the mean of some.
    """
    zoom = side // max(picture.shape[:2])
    if zoom:
        fitted = picture.repeat(zoom, axis=0).repeat(zoom, axis=1)
    else:
        image = Image.fromarray(picture)
        image.thumbnail((side, side), Image.Resampling.BOX)
        fitted = np.array(image)
    height, width, _ = fitted.shape
    top, left = (side - height) // 2, (side - width) // 2
    square = np.full((side, side, 3), 255, np.uint8)
    square[top : top + height, left : left + width] = fitted
    return square


def shrink(arrays: npt.NDArray[Scalar], largest: int = LARGEST) -> npt.NDArray[Scalar]:
    """Return arrays whose longer side has so many values at most, each the mean of some.

    Values with a sign are to be shrunk before they are coloured: their mean has another colour
    than the mean of their colours.

    Args:
        arrays: (..., height, width); those that are small enough are returned as they are.
        largest: the longer side of the others.
    """
    *stacked, height, width = arrays.shape
    longer = max(height, width)
    if longer <= largest:
        return arrays
    rows, columns = (max(1, round(side * largest / longer)) for side in (height, width))
    shrunk = [
        np.asarray(Image.fromarray(array).resize((columns, rows), Image.Resampling.BOX))
        for array in arrays.reshape(-1, height, width)
    ]
    return np.reshape(shrunk, (*stacked, rows, columns))


def tile(pictures: ByteArray, room: int, gap: int) -> ByteArray:
    """Return a stack of pictures as one, line by line.

    They are enlarged so that 16 fill a line, as far as pixels allow; where that is not at all,
    they are drawn twice as large, fewer in a line, if at least 8 are.

    Args:
        pictures: (N, height, width, 3), at least one, not wider than the room.
        room: width in dots.
        gap: dots between two pictures, and around all.
    """
    count, height, width, _ = pictures.shape
    room -= gap
    longer = max(height, width)
    zoom = max(1, (room // COLUMNS - gap) // longer, min(2, (room // 8 - gap) // longer))
    step_y, step_x = height * zoom + gap, width * zoom + gap
    rows = -(-count // min(COLUMNS, room // step_x))
    columns = -(-count // rows)  # lines of about the same length
    cells = np.full((rows * columns, step_y, step_x, 3), _PALE, np.uint8)
    cells[:count, gap:, gap:] = pictures.repeat(zoom, axis=1).repeat(zoom, axis=2)
    canvas = np.full((rows * step_y + gap, columns * step_x + gap, 3), _PALE, np.uint8)
    lines = cells.reshape(rows, columns, step_y, step_x, 3).swapaxes(1, 2)
    canvas[:-gap, :-gap] = lines.reshape(rows * step_y, columns * step_x, 3)
    return canvas
