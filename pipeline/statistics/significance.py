"""Whether a change is better: accuracies of several seeds against those of one or several."""

import math
import warnings
from bisect import bisect_left
from collections.abc import Sequence
from statistics import mean, stdev

from scipy.stats import nct, t, ttest_ind

from pipeline.statistics.difference import Difference

MOST_SEEDS = 1000


def prediction_interval(accuracies: Sequence[float], level: float) -> tuple[float, float]:
    """Return the limits between which one more run of a recipe falls, with another seed.

    W. Q. Meeker, G. J. Hahn and L. A. Escobar, "Statistical intervals" (2017), section 4.8.

    Args:
        accuracies: of at least two runs of the recipe.
        level: probability that it does, such as 0.95.

    Raises:
        ValueError: there are fewer than two runs.
    """
    half = float(t.ppf((1 + level) / 2, len(accuracies) - 1)) * _error_of_one_more(accuracies)
    return mean(accuracies) - half, mean(accuracies) + half


def mean_interval(accuracies: Sequence[float], level: float) -> tuple[float, float]:
    """Return the limits of the mean accuracy of a recipe: Student's t interval.

    Args:
        accuracies: of at least two runs of the recipe.
        level: confidence level, such as 0.95.

    Raises:
        ValueError: there are fewer than two runs.
    """
    error = stdev(accuracies) / math.sqrt(len(accuracies))
    half = float(t.ppf((1 + level) / 2, len(accuracies) - 1)) * error
    return mean(accuracies) - half, mean(accuracies) + half


def against_spread(run: float, accuracies: Sequence[float], level: float) -> Difference:
    """Compare one run with runs of a recipe: might it be one more of them?

    Its limits exclude 0 exactly where the run is outside the recipe's prediction interval, and
    the p-value is that of the same Student's t. Accuracies that are all the same leave no room:
    the p-value is 0, the limit of the formula, unless the run is the same too; then it is 1.

    Args:
        run: accuracy of the run.
        accuracies: of at least two runs of the recipe.
        level: confidence level of the interval, such as 0.95.

    Returns:
        The run minus the mean of the recipe's runs.

    Raises:
        ValueError: there are fewer than two runs of the recipe.
    """
    low, high = prediction_interval(accuracies, level)
    difference, error = run - mean(accuracies), _error_of_one_more(accuracies)
    if error == 0:
        return _certain(difference)
    p_value = 2 * float(t.sf(abs(difference) / error, len(accuracies) - 1))
    return Difference(difference, run - high, run - low, p_value)


def between_runs(old: float, new: float, accuracies: Sequence[float], level: float) -> Difference:
    """Compare two single runs, by the spread of other runs: is it more than another seed does?

    Student's t of the difference, whose standard deviation is that of a run, times root 2.

    Args:
        old: accuracy of the one run.
        new: that of the other.
        accuracies: of at least two runs that spread alike.
        level: confidence level of the interval, such as 0.95.

    Raises:
        ValueError: there are fewer than two runs that spread alike.
    """
    difference, error = new - old, stdev(accuracies) * math.sqrt(2)
    if error == 0:
        return _certain(difference)
    freedom = len(accuracies) - 1
    half = float(t.ppf((1 + level) / 2, freedom)) * error
    p_value = 2 * float(t.sf(abs(difference) / error, freedom))
    return Difference(difference, difference - half, difference + half, p_value)


def between_spreads(old: Sequence[float], new: Sequence[float], level: float) -> Difference:
    """Compare the mean accuracies of two recipes.

    B. L. Welch, "The generalization of 'Student's' problem when several different population
    variances are involved" (1947). Where the runs of each recipe are all the same, the p-value is
    0, the limit of the formula, unless both recipes' are; then it is 1.

    Args:
        old: accuracies of at least two runs of the old recipe, with different seeds.
        new: likewise, of the new one; not necessarily as many, or with the same seeds.
        level: confidence level of the interval, such as 0.95.

    Raises:
        ValueError: there are fewer than two runs of a recipe.
    """
    difference = mean(new) - mean(old)
    if stdev(old) + stdev(new) == 0:
        return _certain(difference)
    with warnings.catch_warnings():
        # SciPy warns where one recipe's runs are all the same, which Welch's test can deal with.
        warnings.simplefilter("ignore", RuntimeWarning)
        result = ttest_ind(new, old, equal_var=False)
        low, high = result.confidence_interval(level)
    return Difference(difference, float(low), float(high), float(result.pvalue))


def seeds_needed(
    difference: float, std: float, level: float = 0.05, power: float = 0.8
) -> int | None:
    """Return how many seeds each of two recipes needs for a test to find a difference.

    The power of the two-sided two-sample t-test is that of the noncentral t distribution:
    J. Cohen, "Statistical power analysis for the behavioral sciences" (1988), section 2.

    Args:
        difference: true difference of the mean accuracies.
        std: standard deviation of the accuracy over seeds, of both recipes, in the same unit.
        level: of significance; a p-value below it counts as found.
        power: probability that it is found, with the right sign.

    Returns:
        At least 2; None if more than `MOST_SEEDS` would be needed, or the difference is 0.
    """
    if difference == 0:
        return None
    if std == 0:
        return 2

    def finds(seeds: int) -> bool:
        freedom = 2 * (seeds - 1)
        critical = t.isf(level / 2, freedom)
        shift = abs(difference) / std * math.sqrt(seeds / 2)
        return bool(nct.sf(critical, freedom, shift) >= power)

    choices = range(2, MOST_SEEDS + 1)
    place = bisect_left(choices, True, key=finds)
    return choices[place] if place < len(choices) else None


def _error_of_one_more(accuracies: Sequence[float]) -> float:
    """Return the standard error of one more run minus the mean of these."""
    return stdev(accuracies) * math.sqrt(1 + 1 / len(accuracies))


def _certain(difference: float) -> Difference:
    return Difference(difference, difference, difference, float(difference == 0))
