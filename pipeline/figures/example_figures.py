"""Pictures of what a network makes of test images: functions that return a `Figure`."""

from collections.abc import Sequence
from itertools import count

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.core.arrays import ByteArray, FloatArray, IntArray
from pipeline.evaluation import selection
from pipeline.figures import mosaic
from pipeline.figures.canvas import LINE, SIDE, Canvas
from pipeline.figures.figure_style import GREY, VERMILLION, styled
from pipeline.figures.picture_parts import grey_colours

MAX_CLASSES = 20
STEP = SIDE + 10  # dots from one image to the next
CAPTION = 8  # characters that are about as wide as an image, in letters of
SIZE = 10  # points


@styled
def attributions(predictions: pd.DataFrame, images: ByteArray, values: FloatArray) -> Figure:
    """Draw which pixels speak for the predicted and for the true class in confident errors.

    Both classes of an image share a scale. The strongest 1% of its values are cut off: one alone
    would make the rest pale.

    Args:
        predictions: one row per image, with columns image, label, predicted (short names of
            classes), and probability (of the predicted class).
        images: all test images, (N, height, width, channels).
        values: attributions as in `Observations`; those of the channels are added.
    """
    errors = selection.confident_errors(predictions)
    title = "Where the most confident errors come from"
    if errors.empty:
        return Canvas(0, title, f"No errors among {len(predictions):,} test images").figure
    row_height = SIDE + 2 * LINE
    height = -(-len(errors) // 3) * row_height
    subtitle = "Each image, what speaks for the class predicted, and what for the true one"
    canvas = Canvas(height + LINE, title, subtitle)
    shown = mosaic.show_images(images[errors["image"].to_numpy()], grey_colours(images))
    captions = (errors[column] for column in ("image", "predicted", "label"))
    for place, (image, predicted, label) in enumerate(zip(*captions, strict=True)):
        signed = mosaic.shrink(values[place].sum(axis=-1), SIDE)
        limit = float(np.quantile(np.abs(signed), 0.99))
        pictures = shown[place], *mosaic.show_signed(signed, limit)
        texts = f"#{image}", predicted, label
        y, x = place // 3 * row_height, place % 3 * 310
        for picture, text in zip(pictures, texts, strict=True):
            canvas.paste(mosaic.fit(picture, SIDE), x, y)
            canvas.write(text, x + SIDE / 2, y + SIDE + 2, ha="center", size=_fitting_size(text))
            x += STEP
    canvas.add_scale("against", "for", 320, height)
    return canvas.figure


@styled
def typical_and_unsure(
    margins: FloatArray, rivals: IntArray, labels: IntArray, images: ByteArray, names: Sequence[str]
) -> Figure:
    """Draw, for each class, its most typical images and those that the network is least sure of.

    Args:
        margins: of all test images, as `selection.score_margins` gives them, (N,).
        rivals: likewise, (N,).
        labels: true classes, (N,).
        images: (N, height, width, channels).
        names: short ones of the classes, of which the first 20 are drawn.
    """
    shown = names[:MAX_CLASSES]
    row_height = SIDE + 2 * LINE + 14
    which = "" if len(shown) == len(names) else f", {len(shown)} of {len(names)} classes"
    subtitle = f"By the score of the true class less that of its strongest rival{which}"
    canvas = Canvas(
        2 * LINE + 12 + len(shown) * row_height, "Most typical and least sure", subtitle
    )
    starts = 118, 118 + selection.EXAMPLES * STEP + 22
    canvas.write("Most typical", starts[0], 0, size=11)
    canvas.write("Least sure, and the rival class", starts[1], 0, size=11)
    canvas.write("bold: the rival has won", starts[1], LINE, color=GREY)
    chosen = [selection.typical_and_unsure(margins, labels, k) for k in range(len(shown))]
    colours = grey_colours(images)
    for row, (name, (typical, unsure)) in enumerate(zip(shown, chosen, strict=True)):
        y = 2 * LINE + 12 + row * row_height
        middle = y + SIDE / 2
        size = 1.1 * _fitting_size(name)
        canvas.write(name, 0, middle, va="center", weight="bold", size=size)
        for start, numbers in zip(starts, (typical, unsure), strict=True):
            pictures = mosaic.show_images(images[numbers], colours)
            for x, picture, number in zip(count(start, STEP), pictures, numbers, strict=False):
                canvas.paste(mosaic.fit(picture, SIDE), x, y)
                canvas.write(f"#{number}", x + SIDE / 2, y + SIDE + 2, ha="center", color=GREY)
        for x, number in zip(count(starts[1], STEP), unsure, strict=False):
            rival, won = names[rivals[number]], margins[number] < 0
            style: dict[str, object] = {"ha": "center", "size": _fitting_size(rival)}
            if won:
                style |= {"weight": "bold", "color": VERMILLION}
            canvas.write(rival, x + SIDE / 2, y + SIDE + 2 + LINE, **style)
    return canvas.figure


def _fitting_size(text: str) -> float:
    """Return the size, in points, at which a caption is about as wide as an image at most."""
    return SIZE * min(1.0, CAPTION / len(text))
