"""Where raw data lies, and what is known of it."""

from pathlib import Path

RAW = Path("data/raw")
DATASET = Path("metrics/dataset.json")
