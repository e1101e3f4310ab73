"""Where the history of a training lies."""

from pathlib import Path

HISTORY = Path("metrics/history.csv")
