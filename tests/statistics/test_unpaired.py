"""The comparison of accuracies on different images, against published examples and statsmodels."""

import pytest
from scipy.stats import hypergeom
from statsmodels.stats.proportion import confint_proportions_2indep

from pipeline.statistics.unpaired import compare_rates


@pytest.mark.parametrize(
    ("new", "old", "low", "high"),
    [
        # R. G. Newcombe (1998), table II, method 10: 95 % limits of the first minus the second.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_interval_is_the_published_one(
    new: tuple[int, int], old: tuple[int, int], low: float, high: float
) -> None:
    compared = compare_rates(*old, *new, 0.95)
    assert compared.difference == pytest.approx(new[0] / new[1] - old[0] / old[1])
    assert (compared.low, compared.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_interval_is_that_of_statsmodels(level: float) -> None:
    compared = compare_rates(9578, 10_000, 4850, 5000, level)
    expected = confint_proportions_2indep(
        4850, 5000, 9578, 10_000, method="newcomb", alpha=1 - level
    )
    assert (compared.low, compared.high) == pytest.approx(expected, rel=1e-9)


def test_p_value_is_fishers() -> None:
    """Of his tea-tasting lady: 3 of 4 cups right in each kind has p = 34 / 70 in two sides."""
    assert compare_rates(1, 4, 3, 4, 0.95).p_value == pytest.approx(34 / 70)


def test_p_value_adds_up_the_less_likely_tables() -> None:
    chances = hypergeom(10_000 + 5000, 9578 + 4850, 5000).pmf(range(5001))
    expected = chances[chances <= chances[4850] * (1 + 1e-7)].sum()
    assert compare_rates(9578, 10_000, 4850, 5000, 0.95).p_value == pytest.approx(expected)


def test_a_swap_turns_the_difference_round() -> None:
    there, back = compare_rates(90, 100, 190, 200, 0.95), compare_rates(190, 200, 90, 100, 0.95)
    assert there.difference == pytest.approx(0.05)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    assert back.p_value == pytest.approx(there.p_value)
