"""How good predictions are: functions of probabilities and labels."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import log_loss, precision_score, recall_score

from pipeline import calibration
from pipeline.arrays import CLASSES, ByteArray

Probabilities = npt.NDArray[np.float32]


def tabulate(probabilities: Probabilities, labels: ByteArray) -> pd.DataFrame:
    """Return one row per image: image (its index), label, predicted, probability (of predicted)."""
    return pd.DataFrame(
        {
            "image": np.arange(len(labels)),
            "label": labels,
            "predicted": probabilities.argmax(axis=1),
            "probability": probabilities.max(axis=1).astype(float).round(6),
        }
    )


def score(
    probabilities: Probabilities, predictions: pd.DataFrame, confidence: float
) -> dict[str, Any]:
    """Return the metrics of a model, rounded to 6 digits.

    Args:
        probabilities: of each class for each image, (N, CLASSES).
        predictions: the same as `tabulate` shows it.
        confidence: level of the accuracy's interval, Wilson's score interval, such as 0.95.
    """
    labels, predicted = predictions["label"], predictions["predicted"]
    classes = range(CLASSES)
    correct = int((labels == predicted).sum())
    low, high = calibration.wilson_interval(correct, len(labels), confidence)
    per_class = {"labels": list(classes), "average": None, "zero_division": 0}
    bins = calibration.bin_by_confidence(predictions, confidence)
    return {
        "accuracy": round(correct / len(labels), 6),
        "accuracy_low": round(low, 6),
        "accuracy_high": round(high, 6),
        "loss": round(log_loss(labels, probabilities, labels=list(classes)), 6),
        "errors": len(labels) - correct,
        "samples": len(labels),
        "expected_calibration_error": round(calibration.expected_calibration_error(bins), 6),
        "recall": _by_class(recall_score(labels, predicted, **per_class)),
        "precision": _by_class(precision_score(labels, predicted, **per_class)),
    }


def _by_class(values: npt.NDArray[np.float64]) -> dict[str, float]:
    return {str(label): round(float(value), 6) for label, value in enumerate(values)}
