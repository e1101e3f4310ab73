"""What sets one state of the pipeline apart from another, and whether the difference is real.

From the bottom up: `revision`, `parsing` and `reading` (what Git holds of a state), `undeclared`,
`changes`, `measures` and `reproduction` (what there is to say of one or two of them), `verdict`
and `gates` (what to conclude), `markdown`, `tables`, `wording`, `comparison_figures` and
`text_pictures` (how it is said), `pictures` and `document` (the report), `terminal` (the same in
short), `mlflow_runs` (MLflow's part of it).
"""
