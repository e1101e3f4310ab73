"""Whether one accuracy is better than another where the test images are not the same."""

import math

from scipy.stats import fisher_exact

from pipeline.core.intervals import wilson_interval
from pipeline.statistics.difference import Difference


def compare_rates(
    old_correct: int, old_samples: int, new_correct: int, new_samples: int, level: float
) -> Difference:
    """Compare two accuracies on images that have nothing to do with each other.

    The interval is method 10 in R. G. Newcombe, "Interval estimation for the difference between
    independent proportions: comparison of eleven methods" (1998), from Wilson's score intervals;
    the p-value is Fisher's exact test's. Very near to the level the two may disagree.

    Args:
        old_correct: number of images that the old model classifies correctly.
        old_samples: number of images it was tested on.
        new_correct: likewise, for the new model.
        new_samples: likewise.
        level: confidence level of the interval, such as 0.95.
    """
    old, new = old_correct / old_samples, new_correct / new_samples
    old_low, old_high = wilson_interval(old_correct, old_samples, level)
    new_low, new_high = wilson_interval(new_correct, new_samples, level)
    table = [[old_correct, old_samples - old_correct], [new_correct, new_samples - new_correct]]
    return Difference(
        new - old,
        new - old - math.hypot(new - new_low, old_high - old),
        new - old + math.hypot(new_high - new, old - old_low),
        float(fisher_exact(table).pvalue),
    )
