"""Every figure that the pipeline draws, by its name, which is also that of its file.

A new figure is a function of values in this package and an entry here. DVC, MLflow and a report
take what lies in the two folders.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from pipeline.core.arrays import Split
from pipeline.evaluation import calibration
from pipeline.evaluation.observations import Observations
from pipeline.figures import curves, error_figures, example_figures, network_figures
from pipeline.figures.picture_parts import grey_colours


@dataclass(frozen=True)
class Results:
    """What figures are drawn from.

    Attributes:
        history: one row per epoch: epoch (from 1), loss, accuracy, val_loss and val_accuracy.
        metrics: of the test images, as `metrics/evaluation.json` has them.
        level: confidence level of intervals, such as 0.95.
        predictions: one row per test image: image, label and predicted (short names of classes),
            and probability (of the predicted class).
        observations: what the network makes of some test images.
        test: the test images (N, height, width, channels), uint8, and their labels (N,).
        names: short ones of all classes, in the order of their labels.
    """

    history: pd.DataFrame
    metrics: Mapping[str, Any]
    level: float
    predictions: pd.DataFrame
    observations: Observations
    test: Split
    names: Sequence[str]


Draw = Callable[[Results], Figure]

# Drawn into `metrics/figures`, for reviewers.
IN_GIT: dict[str, Draw] = {
    "loss": lambda results: curves.loss_curves(results.history),
    "accuracy": lambda results: curves.accuracy_curves(results.history),
    "confusion_matrix": lambda results: error_figures.confusion_matrix(
        results.predictions, results.names
    ),
    "confident_errors": lambda results: error_figures.confident_errors(
        results.predictions, results.test.images
    ),
    "reliability": lambda results: curves.reliability_diagram(
        calibration.bin_by_confidence(results.predictions, results.level),
        results.metrics["expected_calibration_error"],
        results.level,
    ),
}

# Drawn into `metrics/network`: what the network sees. Too much for Git, so it is in DVC's cache.
IN_CACHE: dict[str, Draw] = {
    "filters": lambda results: network_figures.filters(results.observations.kernel),
    "attributions": lambda results: example_figures.attributions(
        results.predictions, results.test.images, results.observations.attributions
    ),
    "typical_and_unsure": lambda results: example_figures.typical_and_unsure(
        results.observations.margins,
        results.observations.rivals,
        results.test.labels,
        results.test.images,
        results.names,
    ),
}


def draw_maps(results: Results) -> dict[str, Figure]:
    """Draw the maps of each image that was followed through the network, by their names."""
    observations, images = results.observations, results.test.images
    colours = grey_colours(images)
    return {
        f"maps/image_{number:05}": network_figures.activation_maps(
            images[number],
            results.predictions.iloc[number],
            {name: maps[place] for name, maps in observations.maps.items()},
            colours,
        )
        for place, number in enumerate(observations.followed)
    }
