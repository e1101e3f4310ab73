"""Whether a model is right as often as it is sure: predictions in bins of confidence."""

import numpy as np
import pandas as pd

from pipeline.core.intervals import wilson_interval

BINS = 10


def bin_by_confidence(predictions: pd.DataFrame, level: float) -> pd.DataFrame:
    """Compare confidence with accuracy in bins of equal width.

    After Niculescu-Mizil and Caruana, "Predicting good probabilities with supervised learning"
    (ICML 2005), for the predicted class as in Guo et al., "On calibration of modern neural
    networks" (ICML 2017). A bin holds confidences above its lower edge up to its upper.

    Args:
        predictions: one row per image, with columns label, predicted, and probability (of the
            predicted class).
        level: confidence level of the intervals, such as 0.95.

    Returns:
        One row per bin from 0 to 1: images, their mean confidence, accuracy, and accuracy_low and
        accuracy_high, its Wilson score interval. All but images are NaN in a bin without images.
    """
    edges = np.linspace(0, 1, BINS + 1)
    places = np.searchsorted(edges[1:-1], predictions["probability"])
    return pd.DataFrame([_summarise(predictions[places == place], level) for place in range(BINS)])


def _summarise(predictions: pd.DataFrame, level: float) -> dict[str, float]:
    images = len(predictions)
    if images == 0:
        return {"images": 0}
    correct = int((predictions["label"] == predictions["predicted"]).sum())
    low, high = wilson_interval(correct, images, level)
    return {
        "images": images,
        "confidence": predictions["probability"].mean(),
        "accuracy": correct / images,
        "accuracy_low": low,
        "accuracy_high": high,
    }


def expected_calibration_error(bins: pd.DataFrame) -> float:
    """Return the mean gap between confidence and accuracy, weighted by images (Guo et al.)."""
    gaps = (bins["confidence"] - bins["accuracy"]).abs()
    return float((gaps * bins["images"]).sum() / bins["images"].sum())
