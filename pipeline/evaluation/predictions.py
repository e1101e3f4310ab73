"""Tables of predictions: `metrics/predictions.csv`, and `metrics/errors.csv` of the wrong ones."""

import io

import pandas as pd

from pipeline.core.rounding import CSV_FORMAT

COLUMNS = {"image": int, "label": str, "predicted": str, "probability": float}


def format_predictions(predictions: pd.DataFrame) -> str:
    """Return a table of predictions as CSV, probabilities with 6 digits."""
    return predictions.to_csv(index=False, float_format=CSV_FORMAT)


def parse_predictions(text: str) -> pd.DataFrame:
    """Return what `format_predictions` was given; other code may have written more columns.

    Label and predicted are names of classes and stay text, whatever they look like: `7`, `NA`.

    Raises:
        ValueError: it is no such table, or lacks a column.
    """
    table = pd.read_csv(io.StringIO(text), dtype=COLUMNS, keep_default_na=False)
    if missing := COLUMNS.keys() - set(table.columns):
        raise ValueError(f"it has no column {min(missing)}")
    return table
