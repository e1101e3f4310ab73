"""Stage `plot`: draw what training and evaluation found, and name the state it belongs to."""

import io
import json

import pandas as pd
from matplotlib.figure import Figure

from pipeline.core import files, splits, stage
from pipeline.core.arrays import Split
from pipeline.core.classes import read_classes
from pipeline.evaluation import calibration
from pipeline.evaluation.observations import Observations, read_observations
from pipeline.evaluation.predictions import parse_predictions
from pipeline.figures import curves, error_figures, example_figures, figure_style, network_figures
from pipeline.figures.picture_parts import grey_colours, shorten_classes, shorten_names
from pipeline.paths import (
    EVALUATION,
    FIGURES,
    HISTORY,
    NETWORK_PICTURES,
    OBSERVATIONS,
    PREDICTIONS,
    STATE_ID,
)
from pipeline.provenance import state
from pipeline.provenance.params import load_params


def _table(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


def draw_network(
    observations: Observations, predictions: pd.DataFrame, test: Split, names: list[str]
) -> dict[str, Figure]:
    """Return the pictures of what the network sees, by their names."""
    margins, rivals = observations.margins, observations.rivals
    drawn = {
        "filters": network_figures.filters(observations.kernel),
        "attributions": example_figures.attributions(
            predictions, test.images, observations.attributions
        ),
        "typical_and_unsure": example_figures.typical_and_unsure(
            margins, rivals, test.labels, test.images, names
        ),
    }
    followed, colours = test.images[observations.followed], grey_colours(test.images)
    for place, number in enumerate(observations.followed):
        maps = {name: maps[place] for name, maps in observations.maps.items()}
        drawn[f"maps/image_{number:05}"] = network_figures.activation_maps(
            followed[place], predictions.iloc[number], maps, colours
        )
    return drawn


def main() -> None:
    """Read what training and evaluation found, and the test images; write figures and state."""
    params = load_params()
    history = files.read_text(HISTORY, _table)
    evaluation = files.read_text(EVALUATION, json.loads)
    observations = read_observations(OBSERVATIONS)
    test, classes = splits.read_split("test"), read_classes()
    predictions = shorten_classes(files.read_text(PREDICTIONS, parse_predictions), classes)
    names = shorten_names(classes)
    level = params.evaluate.confidence
    bins = calibration.bin_by_confidence(predictions, level)
    calibration_error = evaluation["expected_calibration_error"]
    drawn = {
        "loss": curves.loss_curves(history),
        "accuracy": curves.accuracy_curves(history),
        "confusion_matrix": error_figures.confusion_matrix(predictions, names),
        "confident_errors": error_figures.confident_errors(predictions, test.images),
        "reliability": curves.reliability_diagram(bins, calibration_error, level),
    }
    for name, figure in drawn.items():
        files.write_bytes(FIGURES / f"{name}.png", figure_style.to_png(figure))
    observed = draw_network(observations, predictions, test, names)
    pictures = {
        NETWORK_PICTURES / f"{name}.png": figure_style.to_png(figure)
        for name, figure in observed.items()
    }
    for path in set(NETWORK_PICTURES.rglob("*.png")) - set(pictures):
        path.unlink()  # a picture of an image that is no longer followed
    for path, png in pictures.items():
        files.write_bytes(path, png)
    files.write_text(STATE_ID, state.identify(params, state.STATE_FILES) + "\n")


if __name__ == "__main__":
    stage.run(main)
