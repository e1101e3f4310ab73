"""Pictures of a report as text, and how much of them a comment on GitHub takes."""

import re

import numpy as np
import pandas as pd
import pytest

from pipeline.core.arrays import ByteArray
from pipeline.review.document import shorten
from pipeline.review.text_pictures import draw_braille, show_changed_images, show_training_curves

GITHUBS_LIMIT = 65_536


def drawing(*rows: str) -> ByteArray:
    """Return an image with ink where a row has a hash sign."""
    return np.array([[[255 * (dot == "#")] for dot in row] for row in rows], np.uint8)


def make_errors(images: range, *, label: str = "7") -> pd.DataFrame:
    rows = {"image": images, "label": label, "predicted": "1", "probability": 0.9}
    return pd.DataFrame(rows)


def make_history(val_accuracy: list[float]) -> pd.DataFrame:
    epochs = range(1, len(val_accuracy) + 1)
    return pd.DataFrame({"epoch": epochs, "val_accuracy": val_accuracy})


def test_eight_pixels_are_one_character_of_braille() -> None:
    """The dots of Unicode's braille patterns: 1 2 3 7 on the left, 4 5 6 8 on the right."""
    assert draw_braille(drawing("#.", "..", "..", "..")) == "\N{BRAILLE PATTERN DOTS-1}"
    assert draw_braille(drawing("..", ".#", "..", "#.")) == "\N{BRAILLE PATTERN DOTS-57}"
    assert draw_braille(drawing("#", "#", "#", "#", "#")) == "⠀\n⠀"  # one grey is no drawing
    assert draw_braille(drawing("#.#", "...")) == "⠁⠁"


@pytest.mark.parametrize("shape", [(28, 28, 1), (224, 224, 3), (1000, 1000, 1)])
def test_larger_images_are_scaled_to_14_by_7_characters(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert [len(line) for line in draw_braille(image).splitlines()] == [14] * 7


def test_scaled_images_keep_their_proportions() -> None:
    image = np.zeros((112, 56, 1), np.uint8)
    image[:56] = 255
    assert draw_braille(image) == "\n".join([*["⣿" * 7] * 3, "⠛" * 7, *["⠀" * 7] * 3])


def test_some_of_the_broken_and_fixed_images_are_shown() -> None:
    images = np.zeros((40, 28, 28, 1), np.uint8)
    text = show_changed_images(make_errors(range(30)), make_errors(range(20, 40)), images)
    assert "Broken: 10, 4 of them shown" in text
    assert "Fixed: 20, 4 of them shown" in text
    assert text.count("<pre>") == 8
    text = show_changed_images(make_errors(range(0)), make_errors(range(20, 40)), images)
    assert text.count("<pre>") == 8
    assert "Fixed" not in text


def test_names_of_classes_are_text() -> None:
    images = np.zeros((1, 8, 8, 1), np.uint8)
    broken = make_errors(range(1), label="<img>\n\n" + "x" * 100)
    text = show_changed_images(make_errors(range(0)), broken, images)
    assert "&lt;img&gt; xxx" in text
    assert "x" * 30 not in text


def test_curves_are_a_chart_with_as_many_points_as_epochs() -> None:
    text = show_training_curves(make_history([0.8, 0.9]), make_history([0.7, 0.85, 0.95]))
    assert text.startswith("```mermaid\n")
    assert '    x-axis "Epoch" [1, 2, 3]\n' in text
    assert "    line [0.8000, 0.9000]\n    line [0.7000, 0.8500, 0.9500]\n```" in text
    assert text.count("xychart-beta") == 1  # there is no loss to show


def test_long_curves_are_thinned_out() -> None:
    text = show_training_curves(make_history([0.5] * 1000), make_history([0.5] * 60))
    assert '"Epoch" [40, 80, 120,' in text
    assert [len(line.split(",")) for line in re.findall(r"line \[(.*)\]", text)] == [25, 1]


@pytest.mark.parametrize("values", [[0.9], [0.9, float("inf")], [float("nan")] * 3])
def test_what_is_no_curve_has_no_chart(values: list[float]) -> None:
    assert show_training_curves(make_history(values), make_history(values)) == ""


def test_longest_sections_are_left_out_until_a_comment_fits() -> None:
    sections = ["## Verdict", "a" * 40_000, "b" * 2_000, "c" * 30_000, "d" * 20_000]
    text = "\n\n".join(shorten(sections))
    assert len(text) < GITHUBS_LIMIT
    assert "aaa" not in text
    for kept in ("## Verdict", "b" * 2_000, "c" * 30_000, "d" * 20_000):
        assert kept in text
    assert "--output DIR" in text


def test_largest_pictures_fit_into_a_comment() -> None:
    images = np.zeros((100, 512, 512, 3), np.uint8)
    errors = make_errors(range(100), label="&" * 1000)
    curve = make_history([1 / 3] * 10_000)
    pictures = show_changed_images(make_errors(range(0)), errors, images)
    assert len(pictures + show_training_curves(curve, curve)) < 10_000
