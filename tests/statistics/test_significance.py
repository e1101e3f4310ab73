"""The tests of changes, against textbooks, R and statsmodels."""

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from pipeline.statistics.difference import Difference
from pipeline.statistics.significance import (
    MOST_SEEDS,
    against_spread,
    between_runs,
    between_spreads,
    prediction_interval,
    seeds_needed,
)

OLD = [0.944, 0.940, 0.962, 0.951, 0.949]
NEW = [0.958, 0.966, 0.955, 0.961]


def test_prediction_interval_is_the_textbooks() -> None:
    """Of five voltages, in Meeker, Hahn and Escobar's book."""
    low, high = prediction_interval([50.3, 48.3, 49.6, 50.4, 51.9], 0.95)
    assert (low, high) == pytest.approx((46.1, 54.1), abs=0.05)


@pytest.mark.parametrize("level", [0.9, 0.99])
def test_prediction_interval_is_that_of_a_regression_on_nothing(level: float) -> None:
    fit = sm.OLS(OLD, np.ones(len(OLD))).fit()
    limits = fit.get_prediction([1]).summary_frame(alpha=1 - level)
    expected = (limits["obs_ci_lower"].item(), limits["obs_ci_upper"].item())
    assert prediction_interval(OLD, level) == pytest.approx(expected)


def test_run_is_compared_with_the_mean_of_the_others() -> None:
    compared = against_spread(0.970, OLD, 0.95)
    low, high = prediction_interval(OLD, 0.95)
    assert compared.difference == pytest.approx(0.970 - 0.9492)
    assert (compared.low, compared.high) == pytest.approx((0.970 - high, 0.970 - low))


@pytest.mark.parametrize("run", [0.93, 0.9492, 0.955, 0.98])
def test_run_has_the_p_value_of_a_regression_on_being_that_run(run: float) -> None:
    is_run = sm.add_constant([1.0] + [0.0] * len(OLD))
    fit = sm.OLS([run, *OLD], is_run).fit()
    compared = against_spread(run, OLD, 0.95)
    assert compared.p_value == pytest.approx(fit.pvalues[1])
    assert (compared.low, compared.high) == pytest.approx(fit.conf_int(0.05)[1])


@pytest.mark.parametrize("difference", [0.001, -0.02, 0.05])
def test_two_runs_are_compared_by_the_spread_of_others(difference: float) -> None:
    """By hand: the standard deviation of OLD is 0.008349, with 4 degrees of freedom.

    Student's t table has 2.776 for 0.95 and 4.604 for 0.99.
    """
    compared = between_runs(0.95, 0.95 + difference, OLD, 0.95)
    half = 2.776 * 0.008349 * 2**0.5
    assert compared.difference == pytest.approx(difference)
    assert (compared.low, compared.high) == pytest.approx(
        (difference - half, difference + half), abs=1e-4
    )
    at_99 = between_runs(0.95, 0.95 + difference, OLD, 0.99)
    assert at_99.high - difference == pytest.approx(4.604 * 0.008349 * 2**0.5, abs=1e-4)
    assert (compared.p_value < 0.05) == (compared.low > 0 or compared.high < 0)


def test_two_runs_of_a_recipe_without_spread_differ_or_not() -> None:
    assert between_runs(0.9, 0.9, [0.9, 0.9], 0.95).p_value == 1
    assert between_runs(0.9, 0.91, [0.9, 0.9], 0.95).p_value == 0


def test_recipes_compare_as_in_r() -> None:
    """Student's sleep data, and what R's `t.test(extra ~ group, data = sleep)` says of them."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    compared = between_spreads(second, first, 0.95)
    assert compared.difference == pytest.approx(0.75 - 2.33)
    assert (compared.low, compared.high) == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)
    assert compared.p_value == pytest.approx(0.07939, abs=5e-6)


@pytest.mark.parametrize("level", [0.9, 0.99])
def test_recipes_with_other_numbers_of_seeds_compare_as_in_statsmodels(level: float) -> None:
    means = CompareMeans(DescrStatsW(NEW), DescrStatsW(OLD))
    compared = between_spreads(OLD, NEW, level)
    expected = means.tconfint_diff(alpha=1 - level, usevar="unequal")
    assert (compared.low, compared.high) == pytest.approx(expected)
    assert compared.p_value == pytest.approx(means.ttest_ind(usevar="unequal")[1])


def test_recipe_of_which_all_runs_are_the_same_compares_without_a_warning() -> None:
    """Welch's test is then Student's for one sample: mean 0.3, standard error 0.1 / sqrt(3)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compared = between_spreads([0.1, 0.1, 0.1], [0.2, 0.3, 0.4], 0.95)
    assert (compared.low, compared.high) == pytest.approx((0.2 - 0.2484138, 0.2 + 0.2484138))
    assert compared.p_value == pytest.approx(0.0741799)


Compare = Callable[[float, list[float]], Difference]


@pytest.mark.parametrize(
    "compare",
    [
        lambda new, old: against_spread(new, old, 0.95),
        lambda new, old: between_spreads(old, [new, new], 0.95),
    ],
    ids=["run", "recipe"],
)
def test_no_spread_at_all_leaves_no_doubt(compare: Compare) -> None:
    assert compare(0.1, [0.1, 0.1, 0.1]) == Difference(0, 0, 0, 1)
    better = compare(0.98, [0.97, 0.97, 0.97])
    assert (better.low, better.high) == (better.difference, better.difference)
    assert better.difference == pytest.approx(0.01)
    assert better.p_value == 0


@pytest.mark.parametrize(
    "compare",
    [
        lambda new: against_spread(new[0], OLD, 0.95),
        lambda new: between_spreads(OLD, new, 0.95),
    ],
    ids=["run", "recipe"],
)
def test_interval_excludes_zero_exactly_if_the_difference_is_significant(
    compare: Callable[[list[float]], Difference],
) -> None:
    found = []
    for shift in np.linspace(-0.05, 0.05, 201):
        compared = compare([accuracy + shift for accuracy in NEW])
        found.append(compared.p_value < 0.05)
        assert (compared.low > 0 or compared.high < 0) == found[-1], shift
    assert 50 < sum(found) < 199


@pytest.mark.parametrize("runs", [[], [0.95]])
def test_one_run_has_no_spread(runs: list[float]) -> None:
    with pytest.raises(ValueError, match="at least"):
        against_spread(0.95, runs, 0.95)
    with pytest.raises(ValueError, match="at least"):
        between_spreads(runs, OLD, 0.95)
    with pytest.raises(ValueError, match="at least"):
        between_spreads(OLD, runs, 0.95)


@pytest.mark.parametrize("difference", [0.03, 0.01, -0.005, 0.003, 0.001])
@pytest.mark.parametrize("std", [0.0015, 0.006, 0.0117])
@pytest.mark.parametrize(("level", "power"), [(0.05, 0.8), (0.01, 0.9)])
def test_seeds_needed_are_those_of_statsmodels(
    difference: float, std: float, level: float, power: float
) -> None:
    seeds = seeds_needed(difference, std, level, power)
    effect = abs(difference) / std

    def power_with(count: int) -> float:
        # Two-sided, but for a difference found with the wrong sign.
        return float(TTestIndPower().power(effect, count, level / 2, alternative="larger"))

    if seeds is None:
        assert power_with(MOST_SEEDS) < power
    else:
        assert power_with(seeds) >= power
        assert seeds == 2 or power_with(seeds - 1) < power


def test_seeds_needed_are_those_of_cohens_table() -> None:
    """For d = 0.5 and 1.0, two-sided, level 0.05 and power 0.8."""
    assert seeds_needed(0.5, 1) == 64
    assert seeds_needed(1, 1) == 17


def test_no_number_of_seeds_shows_what_is_not_there() -> None:
    assert seeds_needed(0, 0.006) is None
    assert seeds_needed(0, 0) is None


def test_two_seeds_are_enough_where_the_seed_does_not_matter() -> None:
    assert seeds_needed(0.001, 0) == 2
    assert seeds_needed(0.9, 1e-6) == 2


def test_a_difference_of_nothing_but_noise_needs_too_many() -> None:
    assert seeds_needed(1e-9, 0.006) is None
    assert math.isfinite(MOST_SEEDS)
