"""Models of one recipe or of two, tested on the same images, as often as one likes.

Each test image has a difficulty, normally distributed. A model errs on an image if its difficulty
plus a luck of that model and image exceeds what the model can do; difficulties are OVERLAP of the
variance. What a model can do varies with the seed of its training, so that measured accuracies of
one recipe have the given spread. All models of a trial are tested on the same, newly drawn images.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from pipeline.statistics.paired import compare_counts
from pipeline.statistics.significance import against_spread, between_spreads

SIGNIFICANCE = 0.05
IMAGES = 10_000
ERROR_RATE = 0.042
OVERLAP = 0.9  # of two models with 420 errors each, 157 are only the first one's
GROUPS = 100  # of images that are equally difficult, each as likely as the others

Rates = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
DIFFICULTIES: Rates = ndtri((np.arange(GROUPS) + 0.5) / GROUPS)


class Trials(NamedTuple):
    """Simulated recipes: an old one and a new one, and their models tested on the same images.

    Attributes:
        old: accuracies of the old recipe's models, (trials, seeds).
        new: likewise, of the new recipe's.
        fixed: images that only the first old model misclassifies, not the first new one, (trials,).
        broken: images that only the first new model misclassifies, (trials,).
    """

    old: Rates
    new: Rates
    fixed: Counts
    broken: Counts


def error_chances(error_rates: Rates) -> Rates:
    """Return the chance of a model to err on an image of each group, (..., GROUPS).

    Args:
        error_rates: of models on all images, (...).
    """
    return _chances(np.interp(error_rates, *_thresholds()))


def _chances(thresholds: Rates) -> Rates:
    excess = np.sqrt(OVERLAP) * DIFFICULTIES - thresholds[..., np.newaxis]
    return np.asarray(ndtr(excess / np.sqrt(1 - OVERLAP)))


@cache
def _thresholds() -> tuple[Rates, Rates]:
    """Return ascending error rates, and the thresholds of difficulty that lead to them."""
    thresholds = np.linspace(5, 0, 5001)
    return _chances(thresholds).mean(axis=-1), thresholds


def simulate(
    trials: int, seeds: int, spread: float, gain: float, rng: np.random.Generator
) -> Trials:
    """Train and test models of two recipes in each trial.

    Args:
        trials: how many.
        seeds: number of models of each recipe in each trial.
        spread: standard deviation over seeds of the accuracies measured on the same images, as a
            fraction; 0: all models of a recipe are equally good, and have that of `luck`.
        gain: true difference in accuracy of the recipes, new minus old, as a fraction.
        rng: source of all chance.
    """
    images = rng.multinomial(IMAGES, np.full(GROUPS, 1 / GROUPS), size=trials)
    old = error_chances(_error_rates((trials, seeds), ERROR_RATE, spread, rng))
    new = error_chances(_error_rates((trials, seeds), ERROR_RATE - gain, spread, rng))
    old_errors = rng.binomial(images[:, np.newaxis], old)
    first = old_errors[:, 0]
    fixed = rng.binomial(first, 1 - new[:, 0])
    broken = rng.binomial(images - first, new[:, 0])
    others = rng.binomial(images[:, np.newaxis], new[:, 1:])
    new_errors = np.concatenate([(first - fixed + broken)[:, np.newaxis], others], axis=1)
    return Trials(
        1 - old_errors.sum(axis=-1) / IMAGES,
        1 - new_errors.sum(axis=-1) / IMAGES,
        fixed.sum(axis=-1),
        broken.sum(axis=-1),
    )


def _error_rates(
    shape: tuple[int, int], mean: float, spread: float, rng: np.random.Generator
) -> Rates:
    """Draw the true error rates of models, whose measured accuracies have the spread."""
    skill = np.sqrt(max(spread**2 - luck() ** 2, 0))
    return np.clip(rng.normal(mean, skill, shape), 0.001, 0.999)


@cache
def luck() -> float:
    """Return the standard deviation of the accuracies of equally good models on the same images."""
    chances = error_chances(np.asarray(ERROR_RATE))
    return float(np.sqrt((chances * (1 - chances)).mean() / IMAGES))


def paired(trials: Trials) -> Rates:
    """Return what the paired test finds: 1, the new model is better; -1, it is worse; or 0."""
    return np.array(list(map(_judge_paired, trials.fixed.tolist(), trials.broken.tolist())))


@cache
def _judge_paired(fixed: int, broken: int) -> float:
    comparison = compare_counts(fixed, broken)
    return float(np.sign(fixed - broken)) * (comparison.p_value < SIGNIFICANCE)


def one_run(trials: Trials, seeds: int) -> Rates:
    """Return what one new run against the spread of so many old ones finds, as `paired`."""
    pairs = zip(trials.new[:, 0].tolist(), trials.old[:, :seeds].tolist(), strict=True)
    found = (against_spread(run, runs, 1 - SIGNIFICANCE) for run, runs in pairs)
    return np.array([np.sign(f.difference) * (f.p_value < SIGNIFICANCE) for f in found])


def two_spreads(trials: Trials, seeds: int) -> Rates:
    """Return what Welch's test of so many runs on each side finds, as `paired`."""
    pairs = zip(trials.old[:, :seeds].tolist(), trials.new[:, :seeds].tolist(), strict=True)
    found = (between_spreads(old, new, 1 - SIGNIFICANCE) for old, new in pairs)
    return np.array([np.sign(f.difference) * (f.p_value < SIGNIFICANCE) for f in found])
