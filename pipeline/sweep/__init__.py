"""The search over params: what `sweep.yaml` says, on Ray Tune (docs/sweep.md).

Only `ray_cluster`, `searcher`, `search` and `trainable` import Ray or Optuna, which are an extra.
"""
