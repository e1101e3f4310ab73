"""The interval that agrees with the exact McNemar test.

M. P. Fay and K. Lumbard, "Confidence intervals for difference in proportions for matched pairs
compatible with exact McNemar's or sign tests", Statistics in Medicine 40 (2021). A difference in
accuracy is the rate at which images differ, times how far the share of fixed ones among them is
from a half. The interval allows for what is not known of either. A simpler one takes the rate as
given (Clopper and Pearson's limits of the share, times the rate): it agrees with the test as well,
but is too narrow where most differing images are fixed ones, and then may end at the difference
itself.
"""

import numpy as np
import numpy.typing as npt
from scipy.integrate import fixed_quad
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv
from scipy.stats import beta

NODES = 100  # of the quadrature over the rate
RARE = 1e-12  # rates less likely than this are left out


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
    share = (fixed, broken + 1)  # parameters of its beta distribution
    better = fixed > 0 and betainc(*share, 0.5) < tail
    rate = (differing, samples - differing + 1) if better else (differing + 1, samples - differing)
    if fixed == 0:  # the share is 0
        return -float(betaincinv(*rate, 1 - tail)) if rate[1] else -1.0
    if rate[1] == 0:  # the rate is 1
        return 2 * float(betaincinv(*share, tail)) - 1

    lowest, highest = (float(betaincinv(*rate, chance)) for chance in (RARE, 1 - RARE))

    def at_most(limit: float) -> float:
        """Return the probability of a difference up to the limit."""
        # At a lower rate the difference is nearer to 0 than the limit, whatever the share.
        start = min(max(lowest, abs(limit)), highest)
        nearer = float(betainc(*rate, start)) if limit > 0 else 0.0

        def density(rates: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            shares = (1 + limit / rates) / 2
            return np.asarray(beta.pdf(rates, *rate) * betainc(*share, shares.clip(0, 1)))

        return nearer + float(fixed_quad(density, start, highest, n=NODES)[0])

    ends = (0, 1) if better else (-1, 0)
    return float(brentq(lambda limit: at_most(limit) - tail, *ends))
