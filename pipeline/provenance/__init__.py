"""What Git and DVC know of a state of the pipeline, and the id that names it; no MLflow.

`state` (the id), `params` (the check of all params), `results` (the files of a state that are in
Git), `recorded` and `truth` (what was declared and run, and whether it belongs together), `git`,
`commits`, `origin` and `snapshot` (one state, and where it comes from), `committed` with
`cached_files` (the states of the past), `recipe` and `spread` (states that differ by their seed),
`reproduced` and `packages` (whether what is there is what it should be), `params_page` (the params
as a page of the docs).
"""
