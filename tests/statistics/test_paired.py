"""The paired test, against published results and cases worked by hand."""

import math
import warnings
from itertools import product
from math import comb

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from pipeline.statistics.paired import (
    Comparison,
    compare,
    compare_classes,
    compare_counts,
    difference_interval,
)


def errors(*images: int) -> pd.DataFrame:
    return pd.DataFrame({"image": images, "label": 7, "predicted": 1, "probability": 0.5})


def errors_that_differ(fixed: int, broken: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the errors of an old and of a new model that share three images."""
    shared = range(3)
    return (
        errors(*shared, *range(100, 100 + fixed)),
        errors(*shared, *range(500, 500 + broken)),
    )


def test_fixed_and_broken_images_are_counted() -> None:
    comparison = compare(errors(1, 4, 5, 9), errors(4, 6, 7, 8, 9))
    assert (comparison.fixed, comparison.broken) == (2, 3)


@pytest.mark.parametrize(
    ("fixed", "broken", "p_value"),
    [
        # The online calculator of Vassar College, as statsmodels' tests quote it.
        (121, 59, 0.000004),
        (70, 59, 0.378688),
        (80, 59, 0.089452),
        (30, 60, 0.002060),
        (10, 30, 0.002221),
        (10, 10, 1.0),
        # M. W. Fagerland, S. Lydersen and P. Laake (2013): airway hyper-responsiveness before
        # and after stem cell transplantation, complete response to consolidation therapy.
        (7, 1, 0.0703125),
        (16, 6, 0.052479),
    ],
)
def test_p_value_is_the_published_one(fixed: int, broken: int, p_value: float) -> None:
    comparison = compare(*errors_that_differ(fixed, broken))
    assert comparison.p_value == pytest.approx(p_value, abs=5e-7)


@pytest.mark.parametrize(
    ("fixed", "broken", "p_value"),
    [
        (0, 1, 1.0),
        (0, 5, 2 / 2**5),
        (0, 6, 2 / 2**6),
        (1, 7, 2 * (1 + 8) / 2**8),
        (2, 9, 2 * (1 + 11 + 55) / 2**11),
    ],
)
def test_p_value_is_the_binomial_worked_by_hand(fixed: int, broken: int, p_value: float) -> None:
    old, new = errors_that_differ(fixed, broken)
    assert compare(old, new).p_value == pytest.approx(p_value, rel=1e-12)
    assert compare(new, old).p_value == pytest.approx(p_value, rel=1e-12)


def test_errors_on_the_same_images_are_no_difference() -> None:
    old = errors(3, 8)
    assert compare(old, old.assign(predicted=2, probability=0.9)).p_value == 1


def test_models_without_errors_can_be_compared() -> None:
    assert compare(errors(), errors()).p_value == 1


@pytest.mark.parametrize(
    ("fixed", "broken", "samples"),
    [(7, 1, 21), (6, 16, 161), (168, 126, 10_000), (300, 100, 10_000), (3, 0, 10_000), (6, 4, 10)],
)
def test_interval_has_the_quantiles_of_its_definition(
    fixed: int, broken: int, samples: int
) -> None:
    """Draw from the distributions that Fay and Lumbard give, as their R package does."""
    draws, rng, differing = 400_000, np.random.default_rng(1), fixed + broken

    def draw(a: int, b: int) -> np.ndarray:
        return rng.beta(a, b, draws) if a and b else np.full(draws, float(a > 0))

    rates = [draw(differing, samples - differing + 1), draw(differing + 1, samples - differing)]
    low_share, high_share = draw(fixed, broken + 1), draw(fixed + 1, broken)
    low, high = difference_interval(compare_counts(fixed, broken), samples, 0.95)
    noise = 0.02 * (high - low)
    assert low == pytest.approx(
        min(np.quantile(rate * (2 * low_share - 1), 0.025) for rate in rates), abs=noise
    )
    assert high == pytest.approx(
        max(np.quantile(rate * (2 * high_share - 1), 0.975) for rate in rates), abs=noise
    )


def test_interval_is_that_of_the_share_where_all_images_differ() -> None:
    low, high = proportion_confint(14, 20, alpha=0.1, method="beta")
    limits = difference_interval(compare_counts(14, 6), 20, 0.9)
    assert limits == pytest.approx((2 * low - 1, 2 * high - 1), abs=1e-7)


def test_interval_is_that_of_the_rate_where_no_image_is_fixed() -> None:
    _, rate = proportion_confint(5, 1000, alpha=0.05, method="beta")
    low, high = difference_interval(compare_counts(0, 5), 1000, 0.95)
    assert low == pytest.approx(-rate)
    assert -0.005 < high < 0.001


def test_no_differing_image_leaves_room_for_a_few_among_others() -> None:
    chance_of_none_among_10_000 = 0.025
    rate = 1 - chance_of_none_among_10_000 ** (1 / 10_000)
    limits = difference_interval(compare_counts(0, 0), 10_000, 0.95)
    assert limits == pytest.approx((-rate, rate))


@pytest.mark.parametrize(("samples", "level"), [(12, 0.95), (10_000, 0.9)])
def test_interval_excludes_zero_exactly_if_the_test_finds_a_difference(
    samples: int, level: float
) -> None:
    for fixed, broken in product(range(0, 13, 2), range(13)):
        if fixed + broken <= 12:
            comparison = compare_counts(fixed, broken)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                low, high = difference_interval(comparison, samples, level)
            assert low <= (fixed - broken) / samples <= high
            assert (low > 0 or high < 0) == (comparison.p_value < 1 - level), comparison


def test_interval_misses_the_truth_as_seldom_as_it_says() -> None:
    """Add up the chances of all results on few images, as Fay and Lumbard do."""
    samples, level = 26, 0.95
    results = [(f, b) for f, b in product(range(samples + 1), repeat=2) if f + b <= samples]
    limits = [difference_interval(Comparison(*pair, 1), samples, level) for pair in results]
    ways = np.array([comb(samples, f + b) * comb(f + b, f) for f, b in results], float)
    (fixed, broken), (low, high) = np.transpose(results), np.transpose(limits)
    for rate, share in product(np.linspace(0.05, 1, 20), np.linspace(0, 1, 21)):
        of_fixed, of_broken = (rate * share) ** fixed, (rate * (1 - share)) ** broken
        chances = ways * of_fixed * of_broken * (1 - rate) ** (samples - fixed - broken)
        assert math.isclose(chances.sum(), 1)
        truth = rate * (2 * share - 1)
        too_high = chances[low > truth + 1e-9].sum()
        too_low = chances[high < truth - 1e-9].sum()
        assert max(too_high, too_low) <= (1 - level) / 2 + 1e-6, (rate, share)


def test_more_differing_images_than_images_are_refused() -> None:
    with pytest.raises(ValueError, match="3 fixed and 2 broken images are more than 4"):
        difference_interval(compare_counts(3, 2), 4, 0.95)


def labelled(*pairs: tuple[int, str]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["image", "label"]).assign(predicted=0, probability=0.5)


def test_classes_are_compared_each_on_its_images() -> None:
    old = labelled((1, "7"), (2, "7"), (3, "7"), (10, "8"), (11, "8"))
    new = labelled((3, "7"), (4, "7"), (10, "8"))
    table = compare_classes(old, new, {"7": 10, "8": 4, "9": 5}, 0.95)
    assert table.index.tolist() == ["7", "8", "9"]
    assert table.index.name == "label"
    assert table["images"].tolist() == [10, 4, 5]
    assert table["recall_before"].tolist() == [0.7, 0.5, 1]
    assert table["recall_after"].tolist() == [0.8, 0.75, 1]
    assert table["fixed"].tolist() == [2, 1, 0]
    assert table["broken"].tolist() == [1, 0, 0]


def test_recalls_have_wilson_intervals() -> None:
    old = labelled(*((image, "3") for image in range(19)))
    table = compare_classes(old, old.head(4), {"3": 1010}, 0.9)
    for name, correct in {"before": 991, "after": 1006}.items():
        limits = [table.loc["3", f"recall_{name}_{side}"] for side in ("low", "high")]
        assert limits == pytest.approx(proportion_confint(correct, 1010, 0.1, method="wilson"))


def test_p_values_of_classes_are_corrected_for_their_number() -> None:
    fixed = {0: 9, 1: 0, 2: 12, 3: 7, 4: 3, 5: 7, 6: 0, 7: 1, 8: 20, 9: 8}
    old = labelled(
        *((100 * label + i, str(label)) for label, count in fixed.items() for i in range(count))
    )
    table = compare_classes(old, labelled(), pd.Series(1000, list("0123456789")), 0.95)
    by_hand = [2 / 2**count if count else 1 for count in fixed.values()]
    assert table["p_value"].tolist() == pytest.approx(multipletests(by_hand, method="holm")[1])
    assert table.loc["8", "p_value"] == pytest.approx(10 * 2 / 2**20)


def test_class_without_test_images_has_no_recall() -> None:
    table = compare_classes(labelled((1, "0")), labelled(), {"0": 3, "1": 0}, 0.95)
    assert table.loc["1"].filter(like="recall").isna().all()
    assert table.loc["1", "p_value"] == 1


@pytest.mark.parametrize(
    ("counts", "fault"),
    [
        ({"3": 1}, "class 3: 2 errors on 1 images"),
        ({"4": 9}, r"errors of unknown classes: \['3'\]"),
    ],
)
def test_errors_on_other_images_than_counted_are_refused(
    counts: dict[str, int], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        compare_classes(labelled(), labelled((1, "3"), (2, "3")), counts, 0.95)
