"""The curves of a run: functions of values that return a matplotlib `Figure`."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.figures.figure_style import (
    BOTTOM,
    GREY,
    SKY,
    TOP,
    VERMILLION,
    add_axes,
    add_legend,
    new_figure,
    styled,
)


@styled
def loss_curves(history: pd.DataFrame) -> Figure:
    """Draw training and validation loss by epoch.

    Args:
        history: one row per epoch, with columns epoch (from 1), loss and val_loss. Values
            that are not finite, from a run that diverged, are left out.
    """
    figure = _curves(history, "loss", "lowest", history["val_loss"].min())
    figure.axes[0].set_ylim(bottom=0)
    return figure


@styled
def accuracy_curves(history: pd.DataFrame) -> Figure:
    """Draw training and validation accuracy by epoch.

    Args:
        history: one row per epoch, with columns epoch (from 1), accuracy and val_accuracy,
            both 0 to 1.
    """
    figure = _curves(history, "accuracy", "highest", history["val_accuracy"].max())
    axes = figure.axes[0]
    axes.set_ylim(top=min(1, axes.get_ylim()[1]))
    return figure


@styled
def reliability_diagram(bins: pd.DataFrame, calibration_error: float, level: float) -> Figure:
    """Draw observed accuracy against mean confidence, and how many images each bin holds.

    The intervals tell bad calibration from too few images.

    Args:
        bins: what `calibration.bin_by_confidence` returns.
        calibration_error: expected calibration error, 0 to 1.
        level: confidence level of the bins' intervals, such as 0.95.
    """
    subtitle = (
        "Below the line, the model is surer than it is right; "
        f"expected calibration error {calibration_error:.4f}"
    )
    figure = new_figure(6.6, "Reliability diagram", subtitle)
    axes = add_axes(figure, 3.65, bottom=2.0)
    axes.plot([0, 1], [0, 1], "--", color=GREY, label="Perfect")
    filled = bins[bins["images"] > 0]
    accuracy = filled["accuracy"]
    # Rounding can make a length of 0 negative.
    bars = np.abs([accuracy - filled["accuracy_low"], filled["accuracy_high"] - accuracy])
    label = f"Observed, {100 * level:g}% interval"
    axes.errorbar(filled["confidence"], accuracy, bars, fmt="o", label=label, clip_on=False)
    axes.set(ylabel="Accuracy", xlim=(0, 1), ylim=(0, 1))
    axes.tick_params(labelbottom=False)
    add_legend(figure)

    below = add_axes(figure, 1.1)
    lower_edges, width = np.arange(len(bins)) / len(bins), 1 / len(bins)
    columns = below.bar(
        lower_edges, bins["images"], width, align="edge", color=SKY, edgecolor="white"
    )
    below.bar_label(columns, [str(n) if n else "" for n in bins["images"]], size=10, padding=1)
    below.set(ylabel="Images", xlabel="Confidence (probability of the predicted class)")
    below.set_xlim(0, 1)
    below.set_yticks([])
    below.margins(y=0.2)
    for part in (axes, below):
        part.yaxis.set_label_coords(-0.07, 0.5)
    return figure


def _curves(history: pd.DataFrame, measure: str, superlative: str, best: float) -> Figure:
    """Draw a measure of the training and validation data by epoch, and ring its best epoch."""
    ringed = history[history[f"val_{measure}"] == best].head(1)
    subtitle = "".join(
        f"Validation is {superlative} at epoch {epoch}: {best:.4f}" for epoch in ringed["epoch"]
    )
    figure = new_figure(4.4, f"{measure.capitalize()} by epoch", subtitle)
    axes = add_axes(figure, 4.4 - TOP - BOTTOM)
    values = history[[measure, f"val_{measure}"]]
    line = "o-" if len(history) <= 30 else "-"
    axes.plot(history["epoch"], values, line, ms=4, label=["Training", "Validation"])
    best_epoch, best_value = ringed["epoch"], ringed[f"val_{measure}"]
    axes.plot(best_epoch, best_value, "o", color=VERMILLION, ms=11, mfc="none", label="Best")
    for mark in axes.lines:
        mark.set_clip_on(False)  # an accuracy of 1 lies on the border
    axes.set(xlabel="Epoch", ylabel=measure.capitalize(), xlim=(0.5, len(history) + 0.5))
    tidy = [1, 2, 5, 10]
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=tidy, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=tidy))
    add_legend(figure)
    return figure
