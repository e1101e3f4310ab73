"""The pictures of a report: images that a change broke and fixed, and curves before and after."""

import math
from itertools import islice

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.core.arrays import ByteArray
from pipeline.figures.figure_style import (
    BLUE,
    BOTTOM,
    GREY,
    TOP,
    VERMILLION,
    add_axes,
    add_legend,
    new_figure,
    styled,
)
from pipeline.figures.picture_parts import caption_errors, draw_image, grey_colours
from pipeline.review import changes

PER_ROW, ROWS = 8, 2
CELL, SIDE = 0.82, 0.58  # inches: of an image with its captions, and of the image
HEADING = 0.36


@styled
def changed_images(old: pd.DataFrame, new: pd.DataFrame, images: ByteArray) -> Figure:
    """Draw images that only the new model misclassifies, and those that only the old one does.

    Those come first of which the model that errs is surest; 16 of each at most.

    Args:
        old: one row for each image that the old model misclassifies, with columns image, label
            and predicted (short names of classes), and probability.
        new: likewise for the new model.
        images: the test images, (N, height, width, channels).
    """
    broken, fixed = changes.changed_images(old, new)
    parts = [
        (broken, "Broken", "right before, wrong now", VERMILLION),
        (fixed, "Fixed", "wrong before, right now", BLUE),
    ]
    ranked = [part.head(PER_ROW * ROWS) for part, *_ in parts]
    every = pd.concat(ranked)
    captions, size = caption_errors(every, 10, CELL)
    row = 1.24 if "\n" in "".join(captions) else 1.12
    height = sum(HEADING + row * -(-len(shown) // PER_ROW) for shown in ranked)
    figure = new_figure(
        TOP + height,
        "Images that the change broke and fixed",
        "True → predicted class, and the number of the test image; surest errors first",
    )
    axes = add_axes(figure, height, bottom=0, left=0.2, right=0.2)
    axes.set(xlim=(0, 6.6), ylim=(height, 0))  # so its units are inches
    axes.set_axis_off()
    drawn = images[every["image"].to_numpy()]
    colours = grey_colours(images)
    pictures = zip(every["image"], drawn, captions, strict=True)
    top = 0.0
    for (part, title, meaning, colour), shown in zip(parts, ranked, strict=True):
        some = f", {len(shown)} of them shown" if len(shown) < len(part) else ""
        title = f"{title}: {len(part)}"
        axes.text(0.1, top + 0.12, title, weight="bold", va="center", color=colour)
        axes.text(1.2, top + 0.12, f"{meaning}{some}", color=GREY, va="center")
        top += HEADING
        for place, (image, pixels, caption) in enumerate(islice(pictures, len(shown))):
            x, y = CELL * (place % PER_ROW) + 0.1, top + row * (place // PER_ROW) + row - 0.96
            draw_image(axes, pixels, colours, (x, y), SIDE)
            x += SIDE / 2
            axes.text(x, y - 0.04, caption, ha="center", weight="bold", size=size)
            y += SIDE + 0.04
            axes.text(x, y, f"#{image}", ha="center", va="top", size=8, color=GREY)
        top += row * -(-len(shown) // PER_ROW)
    return figure


@styled
def training_curves(old: pd.DataFrame, new: pd.DataFrame) -> Figure:
    """Draw accuracy and loss on training and validation images by epoch, before and after.

    Args:
        old: one row per epoch, with columns epoch, and loss, accuracy, val_loss and val_accuracy,
            of which those that are missing are not drawn.
        new: likewise.
    """
    height, gap = 2.2, 0.35
    figure = new_figure(
        TOP + 2 * height + gap + BOTTOM,
        "Training curves",
        "Validation solid, training dotted",
    )
    upper = add_axes(figure, height, bottom=BOTTOM + height + gap)
    lower = add_axes(figure, height)
    longest = max(len(old), len(new))
    for axes, measure in ((upper, "accuracy"), (lower, "loss")):
        for history, colour, name in ((old, GREY, "Before"), (new, BLUE, "After")):
            label = name if axes is upper else "_"
            for column, style, named in ((measure, ":", "_"), (f"val_{measure}", "o-", label)):
                values = history.get(column, math.nan * history["epoch"])
                axes.plot(history["epoch"], values, style, ms=3, color=colour, label=named)
        axes.set(ylabel=measure.capitalize(), xlim=(0.5, longest + 0.5))
        axes.xaxis.set_major_locator(
            MaxNLocator(12, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
        )
        axes.yaxis.set_label_coords(-0.09, 0.5)
    upper.tick_params(labelbottom=False)
    lower.set(xlabel="Epoch")
    lower.set_ylim(bottom=0)
    add_legend(figure)
    return figure
