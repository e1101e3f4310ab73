"""Whether one model is better than another on the same test images.

Two models mostly err on the same images, the hard ones. So two accuracies with their intervals
say little about the difference; the images on which only one of the models errs say it all.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from pipeline.core.intervals import wilson_interval
from pipeline.statistics.melding import lower_limit


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

    Args:
        old: one row per image that the old model misclassifies, with column image, its index.
        new: likewise, for the new model.
    """
    old_errors, new_errors = set(old["image"]), set(new["image"])
    return compare_counts(len(old_errors - new_errors), len(new_errors - old_errors))


def compare_counts(fixed: int, broken: int) -> Comparison:
    """Test whether images are fixed as often as broken.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages" (1947), with the binomial distribution instead of its approximation.
    """
    differing = fixed + broken
    p_value = float(binomtest(broken, differing, 0.5).pvalue) if differing else 1.0
    return Comparison(fixed, broken, p_value)


def difference_interval(comparison: Comparison, samples: int, level: float) -> tuple[float, float]:
    """Return the limits of the difference in accuracy, new minus old, as fractions.

    M. P. Fay and K. Lumbard, "Confidence intervals for difference in proportions for matched
    pairs compatible with exact McNemar's or sign tests" (2021): 0 lies outside exactly if the
    p-value is below 1 - level. Where no image differs, the limits are not 0: among as many other
    images, a few might.

    Args:
        comparison: of the two models.
        samples: number of images on which they were compared.
        level: confidence level, such as 0.95.

    Raises:
        ValueError: more images differ than there are.
    """
    fixed, broken = comparison.fixed, comparison.broken
    if fixed + broken > samples:
        raise ValueError(f"{fixed} fixed and {broken} broken images are more than {samples}")
    tail = (1 - level) / 2
    low, high = lower_limit(fixed, broken, samples, tail), lower_limit(broken, fixed, samples, tail)
    return low, -high


def compare_classes(
    old: pd.DataFrame, new: pd.DataFrame, counts: Mapping[str, int] | pd.Series, level: float
) -> pd.DataFrame:
    """Compare two models on the images of each class.

    The p-values are those of `compare`, made larger because so many are looked at: that one of
    them is below 0.05 although no class differs happens in at most 5% of cases. S. Holm, "A
    simple sequentially rejective multiple test procedure" (1979).

    Args:
        old: one row per image that the old model misclassifies, with columns image, its index,
            and label, its true class.
        new: likewise, for the new model.
        counts: number of test images of each class.
        level: confidence level of the recalls' Wilson score intervals, such as 0.95.

    Returns:
        One row per class of `counts`, in its order; the index is named label. Columns: images;
        recall_before, recall_before_low, recall_before_high, and the same _after, as fractions,
        NaN for a class without images; fixed, broken, p_value.

    Raises:
        ValueError: a class has more errors than images, or is not one of `counts`.
    """
    images = pd.Series(counts)
    errors = {"before": old, "after": new}
    if unknown := {*old["label"], *new["label"]} - set(images.index):
        raise ValueError(f"errors of unknown classes: {sorted(unknown)}")
    rows = []
    for label, of_class in images.items():
        wrong = {name: frame[frame["label"] == label] for name, frame in errors.items()}
        row: dict[str, float] = {"images": of_class}
        for name, frame in wrong.items():
            limits = _describe_recall(label, of_class, len(frame), level)
            row |= {f"recall_{name}{part}": value for part, value in limits.items()}
        rows.append(row | vars(compare(wrong["before"], wrong["after"])))
    table = pd.DataFrame(rows, index=images.index.rename("label"))
    table["p_value"] = _correct(table["p_value"])
    return table


def _describe_recall(label: object, images: int, wrong: int, level: float) -> dict[str, float]:
    if wrong > images:
        raise ValueError(f"class {label}: {wrong} errors on {images} images")
    if images == 0:
        return dict.fromkeys(("", "_low", "_high"), math.nan)
    low, high = wilson_interval(images - wrong, images, level)
    return {"": (images - wrong) / images, "_low": low, "_high": high}


def _correct(p_values: pd.Series) -> pd.Series:
    """Return Holm's corrected p-values, in the same order."""
    ascending = p_values.sort_values()
    comparisons_left = np.arange(len(ascending), 0, -1)
    return (ascending * comparisons_left).cummax().clip(upper=1).reindex(p_values.index)
