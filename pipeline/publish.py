"""Make MLflow agree with the present state of the pipeline."""

import os
import sys

from pipeline import stage
from pipeline.errors import PipelineError
from pipeline.params import load_params
from pipeline.tracking.publication import publish
from pipeline.tracking.store import REMEDY


def main() -> None:
    """Publish the present state, and say what was done.

    Under DVC, MLflow must not fail the pipeline: what went wrong is a warning.
    """
    params = load_params()
    try:
        print(publish(params))
    except PipelineError as error:
        if "DVC_STAGE" not in os.environ:
            raise
        print(f"{error}; {REMEDY}", file=sys.stderr)


if __name__ == "__main__":
    stage.run(main)
