"""Pictures of what a network makes of test images: functions that return a `Figure`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline import mosaic, selection
from pipeline.arrays import ByteArray
from pipeline.canvas import LINE, SIDE, Canvas
from pipeline.figure_style import GREY, VERMILLION, styled
from pipeline.observations import FloatArray, IntArray
from pipeline.picture_parts import shorten

MAX_CLASSES = 20


@styled
def attributions(predictions: pd.DataFrame, images: ByteArray, values: FloatArray) -> Figure:
    """Draw which pixels speak for the predicted and for the true class in confident errors.

    Both classes of an image share a scale. The strongest 1% of its values are cut off: one alone
    would make the rest pale.

    Args:
        predictions: one row per image, with columns image, label, predicted, and probability (of
            the predicted class).
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
    captions = (errors[column] for column in ("image", "predicted", "label"))
    for place, (image, predicted, label) in enumerate(zip(*captions, strict=True)):
        signed = values[place].sum(axis=-1)
        limit = float(np.quantile(np.abs(signed), 0.99))
        pictures = [*mosaic.show_images(images[[image]]), *mosaic.show_signed(signed, limit)]
        texts = f"#{image}", f"for {shorten(predicted)}", f"for {shorten(label)}"
        y, x = place // 3 * row_height, place % 3 * 310
        for picture, text in zip(pictures, texts, strict=True):
            canvas.paste(mosaic.fit(picture, SIDE), x, y)
            size = 10 if len(text) <= 8 else 7
            canvas.write(text, x + SIDE / 2, y + SIDE + 2, ha="center", size=size)
            x += SIDE + 10
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
        names: of the classes, of which the first 20 are drawn.
    """
    shown = names[:MAX_CLASSES]
    row_height = SIDE + 2 * LINE + 14
    which = "" if len(shown) == len(names) else f", {len(shown)} of {len(names)} classes"
    subtitle = f"By the score of the true class less that of its strongest rival{which}"
    canvas = Canvas(
        2 * LINE + 12 + len(shown) * row_height, "Most typical and least sure", subtitle
    )
    starts = 100, 100 + selection.EXAMPLES * (SIDE + 12) + 28
    canvas.write("Most typical", starts[0], 0, size=11)
    canvas.write("Least sure, and the rival class", starts[1], 0, size=11)
    canvas.write("bold: the rival has won", starts[1], LINE, color=GREY)
    for label, name in enumerate(shown):
        y = 2 * LINE + 12 + label * row_height
        canvas.write(name, 0, y + SIDE / 2, 8, va="center", weight="bold", size=11)
        groups = selection.typical_and_unsure(margins, labels, label)
        for start, numbers, is_unsure in zip(starts, groups, (False, True), strict=True):
            for column, number in enumerate(numbers):
                x = start + column * (SIDE + 12)
                canvas.paste(mosaic.fit(mosaic.show_images(images[[number]])[0], SIDE), x, y)
                centre, below = x + SIDE / 2, y + SIDE + 2
                canvas.write(f"#{number}", centre, below, ha="center", color=GREY)
                if is_unsure:
                    rival, won = names[rivals[number]], margins[number] < 0
                    style = {"weight": "bold", "color": VERMILLION} if won else {}
                    canvas.write(rival, centre, below + LINE, 8, ha="center", **style)
    return canvas.figure
