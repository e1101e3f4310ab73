"""Models in MLflow.

`logged_model` (of a run), `registry` (versions and the champion), `served_model` (how one is loaded
to be served); `keras_flavor` and `image_classifier` (what is in one; the latter travels alone).
"""
