"""Stage `plot`: draw what training and evaluation found, and name the state it belongs to."""

import io
import json

import pandas as pd

from pipeline import calibration, error_figures, figure_style, figures, files, splits, stage, state
from pipeline.classes import read_classes
from pipeline.params import load_params
from pipeline.paths import EVALUATION, FIGURES, HISTORY, PREDICTIONS, STATE_ID
from pipeline.predictions import parse_predictions


def _table(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


def main() -> None:
    """Read history, evaluation, predictions and test images; write the figures and the state."""
    params = load_params()
    history = files.read_text(HISTORY, _table)
    predictions = files.read_text(PREDICTIONS, parse_predictions)
    evaluation = files.read_text(EVALUATION, json.loads)
    test, names = splits.read_split("test"), read_classes()
    level = params.evaluate.confidence
    bins = calibration.bin_by_confidence(predictions, level)
    calibration_error = evaluation["expected_calibration_error"]
    drawn = {
        "loss": figures.loss_curves(history),
        "accuracy": figures.accuracy_curves(history),
        "confusion_matrix": error_figures.confusion_matrix(predictions, names),
        "confident_errors": error_figures.confident_errors(predictions, test.images),
        "reliability": figures.reliability_diagram(bins, calibration_error, level),
    }
    for name, figure in drawn.items():
        files.write_bytes(FIGURES / f"{name}.png", figure_style.to_png(figure))
    files.write_text(STATE_ID, state.identify(params, state.STATE_FILES) + "\n")


if __name__ == "__main__":
    stage.run(main)
