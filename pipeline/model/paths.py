"""Where the model lies."""

from pathlib import Path

MODEL = Path("models/model.keras")
