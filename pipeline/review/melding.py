"""The interval that agrees with the exact McNemar test.

M. P. Fay and K. Lumbard, "Confidence intervals for difference in proportions for matched pairs
compatible with exact McNemar's or sign tests", Statistics in Medicine 40 (2021). A difference in
accuracy is the rate at which images differ, times how far the share of fixed ones among them is
from a half. The interval allows for what is not known of either. A simpler one takes the rate as
given (Clopper and Pearson's limits of the share, times the rate): it agrees with the test as well,
but is too narrow where most differing images are fixed ones, and then may end at the difference
itself.
"""

from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv


def lower_limit(fixed: int, broken: int, samples: int, tail: float) -> float:
    """Return the lower limit of the difference in accuracy.

    It is the quantile of rate * (2 * share - 1) where rate and share are independent and have
    the beta distributions of Clopper and Pearson's limits: the lower one for the share, and for
    the rate the one that puts the limit lower.

    Args:
        fixed: number of images that only the old model misclassifies.
        broken: number of images that only the new one misclassifies.
        samples: number of images on which they were compared, at least as many.
        tail: the level of this limit, such as 0.025.
    """
    differing = fixed + broken
    share = (fixed, broken + 1)  # of the beta distribution; 0 itself if none is fixed
    better = fixed > 0 and betainc(*share, 0.5) < tail
    rate = (differing, samples - differing + 1) if better else (differing + 1, samples - differing)

    def rate_at(quantile: float) -> float:
        return float(betaincinv(*rate, quantile)) if rate[1] else 1.0

    def at_most(limit: float) -> float:
        """Return the probability of a difference up to the limit."""

        def given_rate(quantile: float) -> float:
            bound = (1 + limit / rate_at(quantile)) / 2
            return float(betainc(*share, min(max(bound, 0), 1)))

        return float(quad(given_rate, 0, 1, limit=200)[0])

    if fixed == 0:
        return -rate_at(1 - tail)
    start, end = (0, 1) if better else (-1, 0)
    return float(brentq(lambda limit: at_most(limit) - tail, start, end))
