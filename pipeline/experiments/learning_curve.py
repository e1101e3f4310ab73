"""The learning curve: how the error falls with the number of training images."""

import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from pipeline.figures.figure_style import BOTTOM, TOP, add_axes, add_legend, new_figure, styled


@styled
def learning_curve(points: pd.DataFrame, level: float) -> Figure:
    """Draw the test error against the number of training images, both on logarithmic scales.

    Args:
        points: one row for each run, with columns curve (the name of its line), images (trained
            on), error, error_low and error_high (its interval); errors are fractions from 0 to 1.
        level: confidence level of the intervals, such as 0.95.
    """
    subtitle = f"Test error and its {100 * level:g}% interval, one run for each point"
    figure = new_figure(4.8, "Learning curve", subtitle)
    axes = add_axes(figure, 4.8 - TOP - BOTTOM)
    for name, line in points.groupby("curve", sort=False):
        line = line.sort_values("images")
        error = 100 * line["error"]
        # Rounding can make a length of 0 negative.
        bars = np.abs([error - 100 * line["error_low"], 100 * line["error_high"] - error])
        axes.errorbar(line["images"], error, bars, fmt="o-", ms=5, capsize=3, label=name)
    axes.set(xscale="log", yscale="log", xlabel="Training images", ylabel="Test error")
    axes.grid(visible=True, axis="both")
    _label(axes.xaxis, "{:,.0f}")
    _label(axes.yaxis, "{:g}%")
    add_legend(figure)
    return figure


def _label(axis: Axis, words: str) -> None:
    """Label 1, 2 and 5 of each decade with plain numbers instead of powers."""
    axis.set_major_locator(LogLocator(subs=[1, 2, 5]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: words.format(value)))
    axis.set_minor_locator(NullLocator())
