"""The experiments of `experiments.yaml`: run through DVC, and shown in the docs.

From the bottom up: `dvc_run` (one experiment of DVC, in a copy of the working tree), `definitions`
(what `experiments.yaml` says), `runner` (one after another), `learning_curve`, `table` and
`results_page` (what the docs show of the recorded runs); `compare` lists all experiments in a
terminal.
"""
