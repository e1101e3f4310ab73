"""The pipeline's MLflow runs: the only part of the package that knows MLflow.

Git and DVC hold the truth, and MLflow shows it: a store that fails costs a warning, never a
training. MLflow is imported late, in the background where time matters: it takes about 2 s.
"""
