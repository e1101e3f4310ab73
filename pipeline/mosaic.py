"""Arrays as pictures, whose pixels are whole squares of dots: nothing is blurred.

A picture is (height, width, 3), uint8; a stack of them is (N, height, width, 3).
"""

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from PIL import Image

from pipeline.arrays import ByteArray
from pipeline.figure_style import BLUE, PALE, VERMILLION

COLUMNS = 16  # most numbers of filters are a multiple of it

FloatArray = npt.NDArray[np.float32]

_diverging = LinearSegmentedColormap.from_list("diverging", [BLUE, "white", VERMILLION])
_DIVERGING = np.rint(_diverging(np.arange(256))[:, :3] * 255).astype(np.uint8)
_PALE = np.rint(np.array(to_rgb(PALE)) * 255).astype(np.uint8)


def show_images(images: ByteArray) -> ByteArray:
    """Return images (N, height, width, channels) as a stack, grey ones as ink on white paper."""
    return images if images.shape[-1] == 3 else (255 - images).repeat(3, axis=-1)


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
    """Return a picture as large as its pixels allow in a square of `side` dots, or shrunk to it."""
    zoom = side // max(picture.shape[:2])
    if zoom:
        return picture.repeat(zoom, axis=0).repeat(zoom, axis=1)
    smaller = Image.fromarray(picture)
    smaller.thumbnail((side, side), Image.Resampling.BOX)
    return np.array(smaller)


def tile(pictures: ByteArray, room: int, gap: int) -> ByteArray:
    """Return a stack of pictures as one, line by line.

    They are enlarged so that 16 fill a line, as far as pixels allow; where that is not at all,
    they are drawn twice as large, fewer in a line, if at least 8 are.

    Args:
        pictures: (N, height, width, 3), at least one.
        room: width in dots; what is wider is cut off.
        gap: dots between two pictures, and around all.
    """
    count, height, width, _ = pictures.shape
    room -= gap
    zoom = max(1, (room // COLUMNS - gap) // width, min(2, (room // 8 - gap) // width))
    step_y, step_x = height * zoom + gap, width * zoom + gap
    columns = max(1, min(COLUMNS, count, room // step_x))
    rows = -(-count // columns)
    cells = np.full((rows * columns, step_y, step_x, 3), _PALE, np.uint8)
    cells[:count, gap:, gap:] = pictures.repeat(zoom, axis=1).repeat(zoom, axis=2)
    canvas = np.full((rows * step_y + gap, columns * step_x + gap, 3), _PALE, np.uint8)
    lines = cells.reshape(rows, columns, step_y, step_x, 3).swapaxes(1, 2)
    canvas[:-gap, :-gap] = lines.reshape(rows * step_y, columns * step_x, 3)
    return canvas[:, : room + gap]
