"""Stage `evaluate`: what the model makes of the test images, which nothing saw before."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import log_loss, precision_score, recall_score

from pipeline import calibration, files, network, runtime, splits, stage
from pipeline.dataset import CLASSES, ByteArray, Split
from pipeline.errors import DataError
from pipeline.params import load_params
from pipeline.paths import ERRORS, EVALUATION, MODEL, PREDICTIONS
from pipeline.runtime import keras

Probabilities = npt.NDArray[np.float32]


def predict(model: keras.Model, test: Split) -> Probabilities:
    """Return the probability of each class for each image, (N, CLASSES).

    Raises:
        DataError: the model is for other images or classes.
    """
    expected, found = (
        (test.images.shape[1:], CLASSES),
        (model.input_shape[1:], model.output_shape[-1]),
    )
    if expected != found:
        raise DataError(
            f"{MODEL}: takes images of shape {found[0]} in {found[1]} classes, but the test images "
            f"are of shape {expected[0]} in {expected[1]}; `dvc repro` trains one that fits"
        )
    probabilities: Probabilities = model.predict(
        runtime.batches(test, runtime.EVALUATION_BATCH_SIZE), verbose=0
    )
    return probabilities


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
    interval = binomtest(correct, len(labels)).proportion_ci(confidence, method="wilson")
    per_class = {"labels": list(classes), "average": None, "zero_division": 0}
    bins = calibration.bin_by_confidence(predictions, confidence)
    return {
        "accuracy": round(correct / len(labels), 6),
        "accuracy_low": round(float(interval.low), 6),
        "accuracy_high": round(float(interval.high), 6),
        "loss": round(log_loss(labels, probabilities, labels=list(classes)), 6),
        "errors": len(labels) - correct,
        "samples": len(labels),
        "expected_calibration_error": round(calibration.expected_calibration_error(bins), 6),
        "recall": _by_class(recall_score(labels, predicted, **per_class)),
        "precision": _by_class(precision_score(labels, predicted, **per_class)),
    }


def _by_class(values: npt.NDArray[np.float64]) -> dict[str, float]:
    return {str(label): round(float(value), 6) for label, value in enumerate(values)}


def main() -> None:
    """Read the model and the test images; write the metrics, all predictions, and the errors."""
    params = load_params()
    test = splits.read_split("test")
    runtime.configure(params.train.threads)
    probabilities = predict(network.read_model(MODEL), test)
    predictions = tabulate(probabilities, test.labels)
    errors = predictions[predictions["label"] != predictions["predicted"]]
    files.write_json(EVALUATION, score(probabilities, predictions, params.evaluate.confidence))
    files.write_text(PREDICTIONS, predictions.to_csv(index=False, float_format="%.6f"))
    files.write_text(ERRORS, errors.to_csv(index=False, float_format="%.6f"))


if __name__ == "__main__":
    stage.run(main)
