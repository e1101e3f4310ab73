"""How good predictions are: the table of metrics, which are functions of what a test gave.

scikit-learn is imported where it computes: who only reads the table need not wait for it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.core.arrays import IntArray, LabelArray, chunks
from pipeline.core.imports import importing
from pipeline.core.intervals import wilson_interval
from pipeline.core.rounding import DIGITS
from pipeline.evaluation import calibration

ROWS = 1000  # whose losses are added up at a time: another number gives other last bits
Probabilities = npt.NDArray[np.float32]
ByClass = npt.NDArray[np.float64]


def import_sklearn() -> None:
    """Import what computes the metrics, which a thread can do while a network predicts."""
    with importing():
        import sklearn.metrics  # noqa: F401


def tabulate(
    probabilities: Probabilities, labels: LabelArray, names: Sequence[str]
) -> pd.DataFrame:
    """Return one row per image.

    Args:
        probabilities: of each class for each image, (N, classes).
        labels: true class of each image, (N,).
        names: of the classes.

    Returns:
        Columns image (its index), label and predicted (both as names), and probability (of the
        predicted class, rounded to 6 digits).
    """
    classes = pd.CategoricalDtype([*names])  # of which each row has a number only
    return pd.DataFrame(
        {
            "image": np.arange(len(labels)),
            "label": pd.Categorical.from_codes(labels, dtype=classes),
            "predicted": pd.Categorical.from_codes(probabilities.argmax(axis=1), dtype=classes),
            "probability": probabilities.max(axis=1).astype(float).round(DIGITS),
        }
    )


@dataclass(frozen=True)
class Outcome:
    """What a model made of N test images in C classes.

    Attributes:
        probabilities: of each class for each image, (N, C).
        labels: true class of each image, (N,).
        predictions: what `tabulate` makes of them.
        confidence: level of the intervals, such as 0.95.
    """

    probabilities: Probabilities
    labels: LabelArray
    predictions: pd.DataFrame
    confidence: float

    @cached_property
    def predicted(self) -> IntArray:
        """The most probable class of each image, (N,)."""
        classes: IntArray = self.probabilities.argmax(axis=1)
        return classes

    @property
    def per_class(self) -> dict[str, Any]:
        """Arguments with which scikit-learn gives a value for each class, NaN where there is none.

        So it is with the recall of a class without images, and the precision of one that is never
        predicted.
        """
        classes = range(self.probabilities.shape[1])
        return {"labels": [*classes], "average": None, "zero_division": np.nan}


@dataclass(frozen=True)
class Metric:
    """A row of the table.

    Attributes:
        key: its name in `metrics/evaluation.json`, and after `test_` in MLflow.
        label: what a report calls it.
        compute: gives a number or, for a metric by class, an array (C,).
        better: which way; None for what says nothing of how good a model is.
        share: of which images it is a proportion, which then has Wilson's interval: of all test
            images, or of those of a class by their label or as predicted; None if of none.
    """

    key: str
    label: str
    compute: Callable[[Outcome], float | ByClass]
    better: Literal["higher", "lower"] | None = None
    share: Literal["images", "label", "predicted"] | None = None


def _accuracy(outcome: Outcome) -> float:
    return float((outcome.labels == outcome.predicted).mean())


def _loss(outcome: Outcome) -> float:
    """Return the cross-entropy; scikit-learn needs several copies of what it is given at once."""
    from sklearn.metrics import log_loss

    classes = range(outcome.probabilities.shape[1])
    pairs = zip(chunks(outcome.labels, ROWS), chunks(outcome.probabilities, ROWS), strict=True)
    sums = [log_loss(*pair, normalize=False, labels=classes) for pair in pairs]
    return math.fsum(sums) / len(outcome.labels)


def _errors(outcome: Outcome) -> int:
    return int((outcome.labels != outcome.predicted).sum())


def _calibration_error(outcome: Outcome) -> float:
    bins = calibration.bin_by_confidence(outcome.predictions, outcome.confidence)
    return calibration.expected_calibration_error(bins)


def _recall(outcome: Outcome) -> ByClass:
    from sklearn.metrics import recall_score

    values: ByClass = recall_score(outcome.labels, outcome.predicted, **outcome.per_class)
    return values


def _precision(outcome: Outcome) -> ByClass:
    from sklearn.metrics import precision_score

    values: ByClass = precision_score(outcome.labels, outcome.predicted, **outcome.per_class)
    return values


METRICS = (
    Metric("accuracy", "accuracy", _accuracy, better="higher", share="images"),
    Metric("loss", "loss", _loss, better="lower"),
    Metric("errors", "errors", _errors),  # which way is better, its accuracy says
    Metric("samples", "images", lambda outcome: len(outcome.labels)),
    Metric(
        "expected_calibration_error",
        "expected calibration error",
        _calibration_error,
        better="lower",
    ),
    Metric("recall", "recall", _recall, better="higher", share="label"),
    Metric("precision", "precision", _precision, better="higher", share="predicted"),
)


def score(outcome: Outcome, names: Sequence[str]) -> dict[str, Any]:
    """Return all metrics of a model, rounded to 6 digits.

    Args:
        outcome: what it made of the test images.
        names: of the classes.

    Returns:
        What is in `metrics/evaluation.json`: a number by its key, with `_low` and `_high` for the
        interval (Wilson's) of a proportion of all images; a metric by class as numbers by the
        names of the classes, None where there is none.
    """
    values: dict[str, Any] = {}
    images = len(outcome.labels)
    for metric in METRICS:
        value = metric.compute(outcome)
        if isinstance(value, np.ndarray):
            values[metric.key] = dict(zip(names, map(_round, value), strict=True))
            continue
        values[metric.key] = _round(value)
        if metric.share == "images":
            limits = wilson_interval(round(value * images), images, outcome.confidence)
            values[f"{metric.key}_low"], values[f"{metric.key}_high"] = map(_round, limits)
    return values


def _round(value: float) -> float | None:
    if isinstance(value, int):
        return value
    return None if math.isnan(value) else round(float(value), DIGITS)
