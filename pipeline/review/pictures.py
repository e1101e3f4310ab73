"""The pictures of a report: images that a change broke and fixed, and curves before and after."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.figure_style import (
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

PER_ROW, ROWS = 8, 2
CELL, SIDE = 0.82, 0.58  # inches: of an image with its captions, and of the image
HEADING = 0.36


@styled
def changed_images(old: pd.DataFrame, new: pd.DataFrame, images: npt.NDArray[np.uint8]) -> Figure:
    """Draw images that only the new model misclassifies, and those that only the old one does.

    Those come first of which the model that errs is surest; 16 of each at most.

    Args:
        old: one row for each image that the old model misclassifies, with columns image, label,
            predicted and probability.
        new: likewise for the new model.
        images: the test images, (N, height, width), uint8.
    """
    broken = new[~new["image"].isin(old["image"])]
    fixed = old[~old["image"].isin(new["image"])]
    parts = [
        (broken, "Broken", "right before, wrong now"),
        (fixed, "Fixed", "wrong before, right now"),
    ]
    heights = [HEADING + 1.12 * -(-min(len(part), PER_ROW * ROWS) // PER_ROW) for part, *_ in parts]
    figure = new_figure(
        TOP + sum(heights),
        "Images that the change broke and fixed",
        "True → predicted digit, and the number of the test image; surest errors first",
    )
    axes = add_axes(figure, sum(heights), bottom=0, left=0.2, right=0.2)
    axes.set(xlim=(0, 6.6), ylim=(sum(heights), 0))  # so its units are inches
    axes.set_axis_off()
    top = 0.0
    for (part, title, meaning), height in zip(parts, heights, strict=True):
        ranked = part.sort_values(["probability", "image"], ascending=[False, True])
        shown = ranked.head(PER_ROW * ROWS)
        some = f", {len(shown)} of them shown" if len(shown) < len(part) else ""
        axes.text(
            0.1,
            top + 0.12,
            f"{title}: {len(part)}",
            weight="bold",
            va="center",
            color=VERMILLION if part is broken else BLUE,
        )
        axes.text(1.2, top + 0.12, f"{meaning}{some}", color=GREY, va="center")
        _draw(axes, shown, images, top + HEADING)
        top += height
    return figure


@styled
def training_curves(old: pd.DataFrame, new: pd.DataFrame) -> Figure:
    """Draw accuracy and loss on training and validation images by epoch, before and after.

    Args:
        old: one row per epoch, with columns epoch, loss, accuracy, val_loss and val_accuracy.
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
            axes.plot(history["epoch"], history[measure], ":", color=colour)
            label = name if axes is upper else "_"
            axes.plot(
                history["epoch"], history[f"val_{measure}"], "o-", ms=3, color=colour, label=label
            )
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


def _draw(axes: Axes, shown: pd.DataFrame, images: npt.NDArray[np.uint8], top: float) -> None:
    rows = zip(shown["image"], shown["label"], shown["predicted"], strict=True)
    for place, (image, label, predicted) in enumerate(rows):
        x, y = CELL * (place % PER_ROW) + 0.1, top + 1.12 * (place // PER_ROW) + 0.16
        extent = (x, x + SIDE, y + SIDE, y)
        axes.imshow(images[image], "gray_r", vmin=0, vmax=255, extent=extent)
        axes.text(
            x + SIDE / 2, y - 0.04, f"{label} → {predicted}", ha="center", weight="bold", size=10
        )
        axes.text(
            x + SIDE / 2, y + SIDE + 0.04, f"#{image}", ha="center", va="top", size=8, color=GREY
        )
