"""What more than one worker needs, which is asked before anything is done."""

import os
from importlib.util import find_spec

from pipeline.core.errors import PipelineError
from pipeline.core.params import PARAMS


def require_engine(workers: int) -> None:
    """Check that so many workers can be started.

    Raises:
        PipelineError: Ray is not installed, or TF_CONFIG is set, which Ray sets itself.
    """
    if "TF_CONFIG" in os.environ:
        raise PipelineError(
            "TF_CONFIG: is set, but no longer starts workers: unset it; `RAY_ADDRESS=HEAD:6379 "
            "dvc repro` on one machine trains on all (docs/scaling.md#more-workers)"
        )
    if workers > 1 and not find_spec("ray"):
        raise PipelineError(
            f"{PARAMS}: train.workers: {workers} workers need Ray: `make venv-ray` installs it"
        )
