"""Confidence intervals that every stage can afford: without SciPy."""

import math
from statistics import NormalDist


def wilson_interval(successes: int, trials: int, level: float) -> tuple[float, float]:
    """Return the limits of Wilson's score interval for a rate, from 0 to 1.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    SciPy has it too, but loading scipy.stats takes longer than drawing all figures.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate, shrink = successes / trials, 1 + z**2 / trials
    centre = (rate + z**2 / (2 * trials)) / shrink
    half = z / shrink * math.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)
