"""MLflow may cost one `dvc repro` 10 s in all; a failure uses them up, and is not tried again."""

import json
import math
import os
import sys
from pathlib import Path

import psutil

from pipeline.errors import PipelineError
from pipeline.stage import SHELLS
from pipeline.tracking import store
from pipeline.tracking.processes import identify_process, is_same

SECONDS = 8.0  # of waiting; the rest of the 10 is for starting and ending processes
CREATION_SECONDS = 60.0  # more, once, for a new database
WAITED = Path(".dvc/tmp/mlflow-waited.json")


def remaining() -> float:
    """Return how many seconds the present `dvc repro` may still wait for MLflow."""
    database = store.database()
    limit = CREATION_SECONDS if database and not database.exists() else SECONDS
    return max(0.0, limit - _waited())


def spend(seconds: float, failed: bool) -> None:
    """Note that the present `dvc repro` has waited for MLflow; after a failure it waits no more."""
    WAITED.parent.mkdir(parents=True, exist_ok=True)
    waited = {
        "dvc": identify_process(_find_dvc()),
        "seconds": _waited() + seconds,
        "failed": failed,
    }
    WAITED.write_text(json.dumps(waited))


def no_answer(seconds: float) -> PipelineError:
    """Return the error of a store that has not answered in time."""
    return PipelineError(f"MLflow: no answer within {seconds:.0f} s")


def warn(error: PipelineError) -> None:
    """Say in one line what is wrong and what to do."""
    print(f"{error}; the outputs do not depend on it; {store.REMEDY}", file=sys.stderr)


def _waited() -> float:
    """Return the seconds that this `dvc repro` has waited; without DVC, nothing is remembered."""
    try:
        waited = json.loads(WAITED.read_text())
    except (FileNotFoundError, ValueError):
        return 0.0
    if "DVC_STAGE" not in os.environ or not is_same(waited["dvc"], _find_dvc()):
        return 0.0
    return math.inf if waited["failed"] else float(waited["seconds"])


def _find_dvc() -> psutil.Process:
    """Return the process that runs this stage, perhaps through a shell."""
    parents = psutil.Process().parents()
    return next(process for process in parents if process.name() not in SHELLS)
