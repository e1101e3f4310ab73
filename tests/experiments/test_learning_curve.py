"""The learning curve shows the errors and intervals that it is given."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from numpy.testing import assert_allclose

from pipeline.experiments.learning_curve import learning_curve
from pipeline.figures.figure_style import to_png
from tests.figures.test_curves_and_errors import decode, points, texts, words

GIVEN = pd.DataFrame(
    [
        ("Plain", 2000, 0.04, 0.036, 0.044),
        ("Plain", 1000, 0.08, 0.075, 0.086),
        ("Plain", 59500, 0.01, 0.008, 0.012),
        ("Better", 2000, 0.012, 0.01, 0.0145),
    ],
    columns=["curve", "images", "error", "error_low", "error_high"],
)


def test_curve_has_a_line_for_each_name_with_its_intervals() -> None:
    figure = learning_curve(GIVEN, 0.9)
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Training images", "Test error")
    plain, better = (container for container in axes.containers)
    assert_allclose(points(plain[0]), [[1000, 8], [2000, 4], [59500, 1]])
    assert_allclose(points(better[0]), [[2000, 1.2]])
    (intervals,) = plain[2]
    assert isinstance(intervals, LineCollection)
    assert_allclose(
        np.array(intervals.get_segments()),
        [[[1000, 7.5], [1000, 8.6]], [[2000, 3.6], [2000, 4.4]], [[59500, 0.8], [59500, 1.2]]],
    )
    assert "90% interval" in words(figure)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Plain", "Better"]
    assert plain[0].get_color() != better[0].get_color()


def test_axes_have_plain_numbers() -> None:
    shown = words(learning_curve(GIVEN, 0.95)).split("\n")
    assert {"1,000", "10,000", "50,000", "1%", "2%", "5%"} <= set(shown)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rows", [1, 2, 4])
def test_texts_are_whole_and_same_points_give_same_bytes(rows: int) -> None:
    given = GIVEN.head(rows)
    png = to_png(learning_curve(given, 0.95))
    assert png == to_png(learning_curve(given.copy(), 0.95))
    pixels = decode(png)
    pixels[6:-6, 6:-6] = 255
    assert pixels.min() == 255, "something reaches the border and may be cut off"


def test_legend_is_clear_of_title_and_data() -> None:
    figure = learning_curve(GIVEN.replace("Plain", "The lesson's network"), 0.95)
    texts(figure)
    (legend,) = figure.legends
    covered = [artist.get_window_extent() for artist in (*figure.texts, *figure.axes)]
    assert not legend.get_window_extent().count_overlaps(covered)


@pytest.mark.filterwarnings("error")
def test_run_without_errors_has_its_interval() -> None:
    perfect = pd.DataFrame([("Line", 100, 0.0, -1e-17, 0.04)], columns=GIVEN.columns)
    assert to_png(learning_curve(perfect, 0.95))
