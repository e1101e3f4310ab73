"""Stage `plot`: draw what training and evaluation found, and name the state it belongs to."""

import io
import json

import pandas as pd

from pipeline import calibration, figure_style, figures, files, splits, stage, state
from pipeline.params import load_params
from pipeline.paths import EVALUATION, FIGURES, HISTORY, PREDICTIONS, STATE_ID


def _table(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


def main() -> None:
    """Read history, evaluation, predictions and test images; write the figures and the state."""
    params = load_params()
    history, predictions = (files.read_text(path, _table) for path in (HISTORY, PREDICTIONS))
    evaluation = files.read_text(EVALUATION, json.loads)
    test = splits.read_split("test")
    level = params.evaluate.confidence
    bins = calibration.bin_by_confidence(predictions, level)
    calibration_error = evaluation["expected_calibration_error"]
    drawn = {
        "loss": figures.loss_curves(history),
        "accuracy": figures.accuracy_curves(history),
        "confusion_matrix": figures.confusion_matrix(predictions),
        "confident_errors": figures.confident_errors(predictions, test.images),
        "reliability": figures.reliability_diagram(bins, calibration_error, level),
    }
    for name, figure in drawn.items():
        files.write_bytes(FIGURES / f"{name}.png", figure_style.to_png(figure))
    files.write_text(STATE_ID, state.identify(params, state.STATE_FILES) + "\n")


if __name__ == "__main__":
    stage.run(main)
