"""A reproducible training pipeline: prepare -> train -> evaluate -> plot."""

import gc
import os

# Read when the libraries are first imported, so set before any of them is.
os.environ["KERAS_BACKEND"] = "tensorflow"  # the code needs it
os.environ["MPLBACKEND"] = "agg"  # not a notebook's own, which its cells pass on
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # otherwise a screenful, also where no GPU is
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

if "DVC_STAGE" in os.environ:  # from now on, since TensorFlow takes seconds to import
    gc.disable()  # until all is imported: see `core/imports.py`

    from pipeline.core import stage

    stage.watch_dvc()
