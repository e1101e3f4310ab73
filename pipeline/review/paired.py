"""Whether one model is better than another on the same test images.

Two models mostly err on the same images, the hard ones. So two accuracies with their intervals
say little about the difference; the images on which only one of the models errs say it all.
"""

from dataclasses import dataclass

import pandas as pd
from scipy.stats import binomtest


@dataclass(frozen=True)
class Comparison:
    """How the errors of a new model differ from those of an old one on the same images.

    Attributes:
        fixed: number of images that only the old model misclassifies.
        broken: number of images that only the new one misclassifies.
        p_value: of the exact McNemar test: how likely it is that fixed and broken images are at
            least as uneven in number, if each of them might as well have been the other.
    """

    fixed: int
    broken: int
    p_value: float


def compare(old: pd.DataFrame, new: pd.DataFrame) -> Comparison:
    """Compare the errors of two models on the same images.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages" (1947), with the binomial distribution instead of its approximation.

    Args:
        old: one row per image that the old model misclassifies, with column image, its index.
        new: likewise, for the new model.
    """
    old_errors, new_errors = set(old["image"]), set(new["image"])
    fixed, broken = len(old_errors - new_errors), len(new_errors - old_errors)
    differing = fixed + broken
    p_value = float(binomtest(broken, differing, 0.5).pvalue) if differing else 1.0
    return Comparison(fixed, broken, p_value)
