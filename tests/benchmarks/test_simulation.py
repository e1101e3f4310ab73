"""The statistics of a review on simulated models, of which it is known what is real.

`python -m benchmarks.review` shows more, with more trials.
"""

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.simulation import IMAGES, luck, one_run, paired, simulate, two_spreads
from pipeline.statistics.significance import seeds_needed

TRIALS = 750
SPREAD = 0.006


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def at_most(rate: float) -> float:
    """Return the rate that so many trials stay below by chance in all but 0.1 % of cases."""
    return float(binom.ppf(0.999, TRIALS, rate)) / TRIALS


def test_models_are_like_those_of_the_default_network(rng: np.random.Generator) -> None:
    """About 420 errors, of which two models share all but 130 to 170."""
    trials = simulate(TRIALS, 5, 0, 0, rng)
    assert 410 < IMAGES * (1 - trials.old.mean()) < 430
    assert 130 < trials.fixed.mean() < 170
    assert trials.fixed.mean() == pytest.approx(trials.broken.mean(), rel=0.02)
    assert np.sqrt(trials.old.var(axis=1, ddof=1).mean()) == pytest.approx(luck(), rel=0.05)


def test_measured_accuracies_have_the_spread_and_the_gain(rng: np.random.Generator) -> None:
    trials = simulate(TRIALS, 5, SPREAD, 0.01, rng)
    assert np.sqrt(trials.old.var(axis=1, ddof=1).mean()) == pytest.approx(SPREAD, rel=0.05)
    assert (trials.new - trials.old).mean() == pytest.approx(0.01, abs=0.0005)


def test_counted_images_are_the_difference_between_the_accuracies(rng: np.random.Generator) -> None:
    trials = simulate(TRIALS, 3, SPREAD, 0.01, rng)
    difference = (trials.fixed - trials.broken) / IMAGES
    assert trials.new[:, 0] - trials.old[:, 0] == pytest.approx(difference)


def test_equally_good_models_are_seldom_called_different(rng: np.random.Generator) -> None:
    found = np.mean(paired(simulate(TRIALS, 1, 0, 0, rng)) != 0)
    assert 0.02 < found < at_most(0.05)


def test_seeds_of_one_recipe_are_seldom_called_a_change(rng: np.random.Generator) -> None:
    trials = simulate(TRIALS, 5, SPREAD, 0, rng)
    for found in (one_run(trials, 5), two_spreads(trials, 3), two_spreads(trials, 5)):
        assert 0.01 < np.mean(found != 0) < at_most(0.05)


def test_paired_test_cannot_tell_a_seed_from_a_change(rng: np.random.Generator) -> None:
    assert np.mean(paired(simulate(TRIALS, 1, SPREAD, 0, rng)) != 0) > 0.5


def test_better_models_are_found(rng: np.random.Generator) -> None:
    assert np.mean(paired(simulate(TRIALS, 1, 0, 0.01, rng)) > 0) > 0.99


def test_better_recipes_are_found(rng: np.random.Generator) -> None:
    assert np.mean(two_spreads(simulate(500, 10, SPREAD, 0.01, rng), 10) > 0) > 0.85
    assert np.mean(one_run(simulate(500, 5, 0.0015, 0.01, rng), 5) > 0) > 0.95


def test_so_many_seeds_as_are_needed_find_a_gain_that_often(rng: np.random.Generator) -> None:
    seeds = seeds_needed(0.01, SPREAD, power=0.8)
    assert seeds is not None
    found = np.mean(two_spreads(simulate(500, seeds, SPREAD, 0.01, rng), seeds) > 0)
    assert found == pytest.approx(0.8, abs=0.06)


def test_equal_seeds_simulate_the_same() -> None:
    first, again, other = (simulate(5, 2, SPREAD, 0, np.random.default_rng(s)) for s in (1, 1, 2))
    assert first.fixed.tolist() == again.fixed.tolist()
    assert first.fixed.tolist() != other.fixed.tolist()
