"""The test images that are shown are those worth a look."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax

from pipeline.core.errors import ParamsError
from pipeline.evaluation import selection


def test_confident_errors_come_surest_first_then_by_number() -> None:
    rows = [(0, "a", "a", 0.99), (1, "a", "b", 0.5), (2, "b", "a", 0.9), (3, "b", "a", 0.5)]
    given = pd.DataFrame(rows, columns=["image", "label", "predicted", "probability"])
    assert selection.confident_errors(given)["image"].tolist() == [2, 1, 3]


def test_first_image_of_each_class_is_followed() -> None:
    labels = np.array([2, 0, 2, 5, 0, 1], np.uint8)  # of classes 3 and 4 there is none
    assert selection.followed_images(labels, None) == [1, 5, 0, 3]


def test_of_many_classes_the_first_20_are_followed() -> None:
    labels = np.arange(260, dtype=np.uint16)[::-1]
    assert selection.followed_images(labels, None) == list(range(259, 239, -1))


def test_image_beyond_the_last_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"evaluate\.images: there is no test image 10; with 10"):
        selection.followed_images(np.zeros(10, np.uint8), [9, 10])


def test_named_images_are_followed_in_their_order() -> None:
    assert selection.followed_images(np.zeros(100, np.uint8), [99, 0, *range(1, 30)]) == [
        99,
        0,
        *range(1, 30),
    ]


def test_margin_is_the_difference_of_logits_to_the_strongest_rival() -> None:
    logits = np.array([[4, 1, 3], [-2, 5, 0.5], [0, 0, 7], [1, 2, 3]])
    probabilities = softmax(logits, axis=1).astype(np.float32)

    margins, rivals = selection.score_margins(probabilities, np.array([0, 0, 2, 2], np.uint8))

    assert_allclose(margins, [4 - 3, -2 - 5, 7 - 0, 3 - 2], rtol=1e-5)
    assert_array_equal(rivals, [2, 1, 0, 1])


@pytest.mark.filterwarnings("error")
def test_margins_end_where_probabilities_are_0() -> None:
    logits = np.array([[0, 60], [0, 300]])
    probabilities = softmax(logits, axis=1).astype(np.float32)

    right, _ = selection.score_margins(probabilities, np.array([1, 1]))
    wrong, _ = selection.score_margins(probabilities, np.array([0, 0]))

    expected = -log_softmax(logits[0])[0]
    assert_allclose(right, [expected, -np.log(np.finfo(np.float32).tiny)], rtol=1e-5)
    assert_array_equal(wrong, -right)


def test_typical_images_have_large_margins_and_unsure_ones_small_ones() -> None:
    margins = np.array([3, -0.2, 9, 0.1, 5, 3, -4, 8, 7, 0.2], np.float32)
    labels = np.array([1, 1, 0, 1, 1, 1, 1, 1, 0, 1])

    typical, unsure = selection.typical_and_unsure(margins, labels, 1)

    assert_array_equal(typical, [7, 4, 0, 5])  # of equal margins, the lower number is first
    assert_array_equal(unsure, [3, 1, 9, 0])


def test_class_of_few_images_shows_them_all_and_of_none_nothing() -> None:
    margins, labels = np.array([1, 2], np.float32), np.array([4, 4])
    assert [list(part) for part in selection.typical_and_unsure(margins, labels, 4)] == [
        [1, 0],
        [0, 1],
    ]
    assert [len(part) for part in selection.typical_and_unsure(margins, labels, 3)] == [0, 0]
