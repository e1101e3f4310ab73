"""Where the history of a training run lies."""

from pathlib import Path

HISTORY = Path("metrics/history.csv")
