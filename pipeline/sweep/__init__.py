"""The search over params: what `sweep.yaml` says, on Ray Tune (docs/sweep.md).

Only `searcher`, `search` and `trainable` import Ray or Optuna, which are an extra.
"""
