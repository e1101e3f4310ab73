"""Where the results on the test images lie."""

from pathlib import Path

EVALUATION = Path("metrics/evaluation.json")
PREDICTIONS = Path("metrics/predictions.csv")
ERRORS = Path("metrics/errors.csv")
OBSERVATIONS = Path("data/observations.npz")
