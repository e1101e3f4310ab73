"""What Git and DVC know of a state of the pipeline, and the id that names it; no MLflow."""
