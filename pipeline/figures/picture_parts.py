"""Parts of pictures that depend on the data: the names of classes, and images."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties, findfont, get_font

from pipeline.core.arrays import ByteArray

NAME_LENGTH = 12
DECIDING = 1000  # images, on whether grey ones are drawings
CHARACTER = 0.62  # mean width in ems of what names are made of, in matplotlib's own font


def shorten_names(names: Sequence[str]) -> list[str]:
    """Return the names of classes as figures have them: all different, 12 characters at most.

    `?` is what the font lacks. Names that would look the same have their labels before them, such
    as `#12 Germa…og`.

    Args:
        names: of all classes, in the order of their labels.
    """
    short = [_shorten(name, NAME_LENGTH) for name in names]
    marks = [f"#{label} " for label in range(len(names))]
    marked = [
        mark + _shorten(name, NAME_LENGTH - len(mark))
        for mark, name in zip(marks, names, strict=True)
    ]
    counts = Counter(short)
    chosen = [
        with_mark if counts[plain] > 1 else plain
        for plain, with_mark in zip(short, marked, strict=True)
    ]
    return chosen if len({*chosen}) == len(names) else marked  # a name may look like a marked one


def shorten_classes(predictions: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return predictions whose columns label and predicted have names as `shorten_names` does.

    Args:
        predictions: with these columns, of names of classes.
        names: of all classes, in the order of their labels.
    """
    short = dict(zip(names, shorten_names(names), strict=True))
    columns = ("label", "predicted")
    return predictions.assign(**{column: predictions[column].map(short) for column in columns})


def _shorten(name: str, length: int) -> str:
    font = get_font(findfont(FontProperties(family="DejaVu Sans")))
    known = "".join(c if font.get_char_index(ord(c)) else "?" for c in name)
    if len(known) <= length:
        return known
    end = length // 3
    return f"{known[: length - 1 - end]}…{known[-end:]}"


def text_width(names: Iterable[str], size: float) -> float:
    """Return about how wide the longest of some texts is, in inches, at a size in points."""
    return max((len(name) for name in names), default=0) * CHARACTER * size / 72


def caption_errors(errors: pd.DataFrame, size: float, width: float) -> tuple[list[str], float]:
    """Return a caption for each error, such as `4 → 9`, and the size of them all, in points.

    They have two smaller lines where one would be too wide for one of them.

    Args:
        errors: one row each, with columns label and predicted, as `shorten_classes` has them.
        size: of captions of one line, in points.
        width: that they may have, in inches.
    """
    pairs = [*zip(errors["label"], errors["predicted"], strict=True)]
    captions = [f"{label} → {predicted}" for label, predicted in pairs]
    if text_width(captions, size) <= width:
        return captions, size
    return [f"{label}\n→ {predicted}" for label, predicted in pairs], 0.72 * size


def grey_colours(images: ByteArray) -> str:
    """Return the name of matplotlib's colours for the grey images of a data set.

    Drawings on black, such as MNIST's, are shown like ink on paper; photographs as they are. The
    first `DECIDING` images decide, whichever are shown: all figures then agree.

    Args:
        images: all test images, (N, height, width, channels); may be memory-mapped.
    """
    counts = (np.bincount(image.ravel(), minlength=256) for image in images[:DECIDING])
    return "gray_r" if sum(counts, np.zeros(256, np.int64)).argmax() == 0 else "gray"


def draw_image(
    axes: Axes, image: ByteArray, colours: str, place: tuple[float, float], side: float
) -> None:
    """Draw an image into the middle of a square, as large as it fits.

    Args:
        axes: with the vertical axis downwards.
        image: (height, width, channels), grey or red, green and blue.
        colours: of grey images.
        place: x and y of the square's upper left corner.
        side: of the square.
    """
    height, width, channels = image.shape
    scale = side / max(height, width)
    left, top = place[0] + (side - scale * width) / 2, place[1] + (side - scale * height) / 2
    extent = (left, left + scale * width, top + scale * height, top)
    pixels = image[:, :, 0] if channels == 1 else image
    axes.imshow(pixels, colours, vmin=0, vmax=255, extent=extent, aspect="auto")
