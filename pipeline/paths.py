"""Where things lie, relative to the root of the repository, in which every command runs."""

from pathlib import Path

PARAMS = Path("params.yaml")
RAW = Path("data/raw")

PREPARED = Path("data/prepared")
CLASSES = PREPARED / "classes.txt"
STATE_ID = Path("data/state.txt")
OBSERVATIONS = Path("data/observations.npz")
MODEL = Path("models/model.keras")

METRICS = Path("metrics")
DATASET = METRICS / "dataset.json"
HISTORY = METRICS / "history.csv"
EVALUATION = METRICS / "evaluation.json"
ERRORS = METRICS / "errors.csv"
SEEDS = METRICS / "seeds.json"
PREDICTIONS = METRICS / "predictions.csv"
FIGURES = METRICS / "figures"
NETWORK_PICTURES = METRICS / "network"
