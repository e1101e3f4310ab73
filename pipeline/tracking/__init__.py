"""The pipeline's MLflow runs: the only part of the package that knows MLflow.

Git and DVC hold the truth, and MLflow shows it: a store that fails costs a warning, never the
training (docs/mlflow.md). From the bottom up: `store`, `store_errors` and `database` (where runs
go), `runs` and `content` (what a run has), `training_run` with its `recorder` (a run while training
is running), `publication` (one complete run for each state), `models` (what comes of runs).
"""
