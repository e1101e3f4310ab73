"""Whether a model is right as often as it is sure: predictions in bins of confidence."""

import math
from statistics import NormalDist

import numpy as np
import pandas as pd

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


def wilson_interval(successes: int, trials: int, level: float) -> tuple[float, float]:
    """Return the limits of Wilson's score interval for a rate, from 0 to 1.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    SciPy has it too, but loading scipy.stats takes longer than drawing all figures.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate, shrink = successes / trials, 1 + z**2 / trials
    centre = (rate + z**2 / (2 * trials)) / shrink
    half = z / shrink * math.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def expected_calibration_error(bins: pd.DataFrame) -> float:
    """Return the mean gap between confidence and accuracy, weighted by images (Guo et al.)."""
    gaps = (bins["confidence"] - bins["accuracy"]).abs()
    return float((gaps * bins["images"]).sum() / bins["images"].sum())
