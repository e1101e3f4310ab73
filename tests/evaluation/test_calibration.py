"""Bins of confidence and their calibration error, against references and cases done by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve

from pipeline.core.intervals import wilson_interval
from pipeline.evaluation.calibration import bin_by_confidence, expected_calibration_error

MEASURES = ["confidence", "accuracy", "accuracy_low", "accuracy_high"]


def predictions(*rows: tuple[float, bool]) -> pd.DataFrame:
    """One prediction for each (probability, whether it is right)."""
    probabilities, right = zip(*rows, strict=True)
    return pd.DataFrame(
        {"label": 1, "predicted": np.where(right, 1, 2), "probability": probabilities}
    )


@pytest.fixture(scope="module")
def many() -> pd.DataFrame:
    """1,000 predictions that are right a little less often than they are sure."""
    random = np.random.default_rng(0)
    probability = random.uniform(0.1, 1, 1000).round(6)
    right = random.random(1000) < probability - 0.05
    return predictions(*zip(probability.tolist(), right.tolist(), strict=True))


def test_bins_agree_with_scikit_learn(many: pd.DataFrame) -> None:
    right = many["label"] == many["predicted"]
    accuracy, confidence = calibration_curve(right, many["probability"], n_bins=10)

    bins = bin_by_confidence(many, level=0.95)

    counts, _ = np.histogram(many["probability"], np.linspace(0, 1, 11))
    assert bins["images"].tolist() == counts.tolist()
    filled = bins[bins["images"] > 0]
    assert len(filled) == 9  # nothing is surer of a digit than of another with less than 0.1
    assert_allclose(filled["confidence"], confidence)
    assert_allclose(filled["accuracy"], accuracy)


def test_confidence_is_the_images_own_not_the_middle_of_the_bin() -> None:
    bins = bin_by_confidence(predictions((0.61, True), (0.62, False), (0.66, True)), level=0.95)

    assert bins.loc[6, "images"] == 3
    assert bins.loc[6, "confidence"] == pytest.approx(0.63)
    assert bins.loc[6, "accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("tenths", range(1, 11))
def test_a_bin_holds_its_upper_edge_and_not_its_lower(tenths: int) -> None:
    edge = float(f"{tenths / 10:.1f}")  # as a file says it: 0.3, not 0.30000000000000004

    bins = bin_by_confidence(predictions((edge, True), (edge - 1e-6, True)), level=0.95)

    assert bins["images"].tolist() == [2 * (place == tenths - 1) for place in range(10)]


@pytest.mark.parametrize("tenths", range(10))
def test_what_lies_above_an_edge_is_in_the_next_bin(tenths: int) -> None:
    bins = bin_by_confidence(predictions((tenths / 10 + 1e-6, True)), level=0.95)

    assert bins["images"].tolist() == [int(place == tenths) for place in range(10)]


def test_no_confidence_at_all_is_in_the_first_bin() -> None:
    assert bin_by_confidence(predictions((0.0, False)), level=0.95).loc[0, "images"] == 1


@pytest.mark.filterwarnings("error")
def test_bins_without_images_have_no_measures() -> None:
    bins = bin_by_confidence(predictions((0.15, False), (0.95, True)), level=0.95)

    assert bins["images"].tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert bins.columns.tolist() == ["images", *MEASURES]
    empty = bins["images"] == 0
    assert bins.loc[empty, MEASURES].isna().all(axis=None)
    assert bins.loc[~empty, MEASURES].notna().all(axis=None)
    assert bins.loc[~empty, "accuracy"].tolist() == [0, 1]


# Newcombe, "Two-sided confidence intervals for the single proportion" (Statistics in Medicine
# 17, 1998), table I, method 3: Wilson's score interval at 95%.
NEWCOMBE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


@pytest.mark.parametrize(("correct", "images", "low", "high"), NEWCOMBE)
def test_intervals_are_the_published_ones(
    correct: int, images: int, low: float, high: float
) -> None:
    given = predictions(*[(0.75, True)] * correct, *[(0.75, False)] * (images - correct))

    row = bin_by_confidence(given, level=0.95).loc[7]

    assert row["images"] == images
    assert row["accuracy_low"] == pytest.approx(low, abs=5e-5)
    assert row["accuracy_high"] == pytest.approx(high, abs=5e-5)


# Two-sided quantiles of the normal distribution, from any printed table.
@pytest.mark.parametrize(("level", "z"), [(0.9, 1.644854), (0.95, 1.959964), (0.99, 2.575829)])
def test_intervals_widen_with_the_level(level: float, z: float) -> None:
    row = bin_by_confidence(predictions(*[(0.65, True)] * 7, *[(0.65, False)] * 3), level).loc[6]

    # Wilson (1927): (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), p = 0.7, n = 10
    middle, reach = 0.7 + z**2 / 20, z * math.sqrt(0.021 + z**2 / 400)
    assert row["accuracy_low"] == pytest.approx((middle - reach) / (1 + z**2 / 10), abs=1e-6)
    assert row["accuracy_high"] == pytest.approx((middle + reach) / (1 + z**2 / 10), abs=1e-6)


def test_calibration_error_of_a_hand_computed_case() -> None:
    # Four images at 0.95, three of them right: a gap of 0.2, surer than right. Six at 0.6, five
    # of them right: a gap of 5/6 - 0.6 the other way. The gaps do not cancel.
    given = predictions(*[(0.95, True)] * 3, (0.95, False), *[(0.6, True)] * 5, *[(0.6, False)] * 1)

    error = expected_calibration_error(bin_by_confidence(given, level=0.95))

    assert error == pytest.approx((4 * 0.2 + 6 * (5 / 6 - 0.6)) / 10)


def test_calibration_error_agrees_with_an_average_over_images(many: pd.DataFrame) -> None:
    # Each image weighs 1, so the mean gap of its bin over all images is the same sum.
    right = (many["label"] == many["predicted"]).astype(float)
    place = pd.cut(many["probability"], [tenths / 10 for tenths in range(11)])
    mean = pd.DataFrame({"sure": many["probability"], "right": right}).groupby(place, observed=True)
    gaps = mean["sure"].transform("mean") - mean["right"].transform("mean")

    error = expected_calibration_error(bin_by_confidence(many, level=0.95))

    assert error == pytest.approx(gaps.abs().mean())
    assert error == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([(1.0, True)] * 3, 0),
        ([(1.0, False)] * 3, 1),
        ([(0.75, True)] * 3 + [(0.75, False)], 0),
        ([(0.3, True)], 0.7),
    ],
    ids=["sure and right", "sure and wrong", "right as often as sure", "one image"],
)
@pytest.mark.filterwarnings("error")
def test_calibration_error_of_one_bin(rows: list[tuple[float, bool]], error: float) -> None:
    found = expected_calibration_error(bin_by_confidence(predictions(*rows), level=0.95))

    assert type(found) is float
    assert found == pytest.approx(error)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
@pytest.mark.parametrize(
    ("successes", "trials"), [(0, 1), (1, 1), (3, 10), (9578, 10000), (10000, 10000)]
)
def test_interval_is_that_of_scipy(successes: int, trials: int, level: float) -> None:
    expected = binomtest(successes, trials).proportion_ci(level, method="wilson")

    low, high = wilson_interval(successes, trials, level)

    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)
