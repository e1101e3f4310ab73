"""How the numbers are rounded that `metrics/` keeps, and that MLflow shows of a training run."""

DIGITS = 6  # after the point
CSV_FORMAT = f"%.{DIGITS}f"
