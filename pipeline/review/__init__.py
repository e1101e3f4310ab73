"""What sets one state of the pipeline apart from another, and whether the difference is real.

From the bottom up: `difference`, `paired` with `melding`, `unpaired`, `significance` and `spread`
(statistics, of values alone), `revision`, `parsing` and `reading` (what Git holds of a state),
`staleness`, `changes`, `measures` and `reproduction` (what there is to say of one or two of them),
`verdict` and `gates` (what to conclude), `tables`, `wording` and `pictures` (how it is said),
`document` (the report), `lookup` (MLflow's part of it). `recipe` and `reproduced`
tell which trainings differ by their seed alone.
"""
