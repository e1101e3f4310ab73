"""How good predictions are: functions of probabilities and labels."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import log_loss, precision_score, recall_score

from pipeline.core.arrays import LabelArray, chunks
from pipeline.core.intervals import wilson_interval
from pipeline.evaluation import calibration

Probabilities = npt.NDArray[np.float32]


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
            "probability": probabilities.max(axis=1).astype(float).round(6),
        }
    )


def score(
    probabilities: Probabilities,
    labels: LabelArray,
    predictions: pd.DataFrame,
    names: Sequence[str],
    confidence: float,
) -> dict[str, Any]:
    """Return the metrics of a model, rounded to 6 digits.

    Args:
        probabilities: of each class for each image, (N, classes).
        labels: true class of each image, (N,).
        predictions: what `tabulate` makes of them.
        names: of the classes.
        confidence: level of the accuracy's interval, Wilson's score interval, such as 0.95.

    Returns:
        What is in `metrics/evaluation.json`. The recall of a class without images is None, and so
        is the precision of one that is never predicted.
    """
    predicted = probabilities.argmax(axis=1)
    classes = list(range(len(names)))
    correct = int((labels == predicted).sum())
    low, high = wilson_interval(correct, len(labels), confidence)
    per_class = {"labels": classes, "average": None, "zero_division": np.nan}
    bins = calibration.bin_by_confidence(predictions, confidence)
    return {
        "accuracy": round(correct / len(labels), 6),
        "accuracy_low": round(low, 6),
        "accuracy_high": round(high, 6),
        "loss": round(_mean_loss(probabilities, labels), 6),
        "errors": len(labels) - correct,
        "samples": len(labels),
        "expected_calibration_error": round(calibration.expected_calibration_error(bins), 6),
        "recall": _by_class(names, recall_score(labels, predicted, **per_class)),
        "precision": _by_class(names, precision_score(labels, predicted, **per_class)),
    }


def _mean_loss(probabilities: Probabilities, labels: LabelArray) -> float:
    """Return the cross-entropy; scikit-learn needs several copies of what it is given at once."""
    classes = range(probabilities.shape[1])
    sums = [
        log_loss(of_chunk, chunk, normalize=False, labels=classes)
        for of_chunk, chunk in zip(chunks(labels), chunks(probabilities), strict=True)
    ]
    return math.fsum(sums) / len(labels)


def _by_class(names: Sequence[str], values: npt.NDArray[np.float64]) -> dict[str, float | None]:
    rounded = (None if np.isnan(value) else round(float(value), 6) for value in values)
    return dict(zip(names, rounded, strict=True))
