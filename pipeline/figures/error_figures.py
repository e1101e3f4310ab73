"""The pictures of a run's errors: functions of values that return a matplotlib `Figure`."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from pipeline.core.arrays import ByteArray
from pipeline.evaluation import selection
from pipeline.figures.figure_style import (
    BLUE,
    BOTTOM,
    INK,
    LEFT,
    PALE,
    RIGHT,
    SKY,
    TOP,
    WIDTH,
    add_axes,
    format_probability,
    new_figure,
    styled,
)
from pipeline.figures.picture_parts import caption_errors, draw_image, grey_colours, text_width

MOST_CLASSES, WORST_CLASSES = 26, 20  # more than the former are no longer readable
COLUMNS, PICTURE = 6, 0.8  # pictures in a row; side in inches


@styled
def confusion_matrix(predictions: pd.DataFrame, names: Sequence[str]) -> Figure:
    """Draw how many images of each class were taken for each other class.

    Only errors are coloured: beside the correct ones, a hundred times as many, they would
    all look alike. Of more than 26 classes, those 20 are shown that take part in most errors.

    Args:
        predictions: one row per image, with columns label and predicted, as
            `picture_parts.shorten_classes` has them.
        names: of all classes, as `picture_parts.shorten_names` has them.
    """
    table = np.zeros((len(names), len(names)), dtype=np.int64)
    labels = {name: label for label, name in enumerate(names)}
    pairs = (predictions[column].map(labels) for column in ("label", "predicted"))
    np.add.at(table, tuple(pairs), 1)
    wrong = table.sum() - table.trace()
    subtitle = f"Errors are coloured: {wrong:,} of {len(predictions):,} test images"
    shown = list(range(len(names)))
    if len(names) > MOST_CLASSES:
        shown = _find_worst(table)
        table = table[np.ix_(shown, shown)]
        subtitle += f"; the {len(shown)} of {len(names)} classes with most errors"

    captions, size = [names[label] for label in shown], min(11, 130 / len(shown))
    width = text_width(captions, size)
    left = max(LEFT, 0.65 + width)
    side = WIDTH - left - RIGHT
    slanted = width > 0.9 * side / len(captions)
    bottom = max(BOTTOM, 0.6 + width * 0.75) if slanted else BOTTOM
    figure = new_figure(TOP + side + bottom, "Confusion matrix", subtitle)
    axes = add_axes(figure, side, bottom=bottom, left=left)
    _draw_counts(axes, table, size)
    places = np.arange(len(captions)) + 0.5
    axes.set_xticks(places, captions)
    axes.set_yticks(places, captions)
    if slanted:
        axes.tick_params(axis="x", rotation=45)
        for tick in axes.get_xticklabels():
            tick.set(ha="right", rotation_mode="anchor")
    axes.set(xlabel="Predicted class", ylabel="True class")
    axes.tick_params(length=0, labelsize=size)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.invert_yaxis()
    return figure


@styled
def confident_errors(predictions: pd.DataFrame, images: ByteArray) -> Figure:
    """Draw the 24 misclassified images that the model was surest about, surest first.

    Args:
        predictions: one row per image, with columns image (its row in images), label and predicted
            (short names of classes), and probability (of the predicted class).
        images: (N, height, width, channels); may be memory-mapped.
    """
    shown = selection.confident_errors(predictions)
    errors = (predictions["label"] != predictions["predicted"]).sum()
    captions, size = caption_errors(shown, 11, PICTURE)
    cell = 1.75 if "\n" in "".join(captions) else 1.6
    rows = max(1, -(-len(shown) // COLUMNS))

    subtitle = f"No errors among {len(predictions):,} test images"
    if len(shown):
        subtitle = f"{len(shown)} of {errors:,}: true → predicted class, probability, image number"
    figure = new_figure(TOP + cell * rows, "Most confident errors", subtitle)
    axes = add_axes(figure, cell * rows, bottom=0, left=0.2, right=0.2)
    axes.set(xlim=(0, 6.6), ylim=(cell * rows, 0))  # so its units are inches
    axes.set_axis_off()
    drawn = images[shown["image"].to_numpy()]
    colours = grey_colours(images)
    rows_shown = zip(drawn, captions, shown["image"], shown["probability"], strict=True)
    for place, (pixels, caption, image, probability) in enumerate(rows_shown):
        x, y = 1.1 * (place % COLUMNS) + 0.15, cell * (place // COLUMNS) + cell - 1.4
        draw_image(axes, pixels, colours, (x, y), PICTURE)
        surely = format_probability(probability)
        middle = x + PICTURE / 2
        axes.text(middle, y - 0.06, caption, ha="center", weight="bold", size=size)
        axes.text(middle, y + 0.86, f"{surely}\n#{image}", ha="center", va="top", size=10)
    return figure


def _find_worst(counts: npt.NDArray[np.int64]) -> list[int]:
    """Return the labels of the classes that take part in most errors, in ascending order."""
    errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    worst = np.argsort(-errors, kind="stable")[:WORST_CLASSES]
    return sorted(worst.tolist())


def _draw_counts(axes: Axes, counts: npt.NDArray[np.int64], size: float) -> None:
    errors = counts - np.diag(counts.diagonal())
    most = max(1, errors.max())
    coloured = np.ma.masked_array(errors, mask=np.eye(len(counts), dtype=bool))
    colours = LinearSegmentedColormap.from_list("errors", ["#F3F6F9", SKY, BLUE])
    mesh = axes.pcolormesh(coloured, vmin=0, vmax=most, edgecolors="white", linewidth=1.5)
    mesh.set_cmap(colours.with_extremes(bad=PALE))
    for label, predicted in np.argwhere(counts):
        n = counts[label, predicted]
        ink = "white" if errors[label, predicted] > 0.8 * most else INK
        x, y = predicted + 0.5, label + 0.5
        axes.text(x, y, n, size=size, color=ink, ha="center", va="center_baseline")
