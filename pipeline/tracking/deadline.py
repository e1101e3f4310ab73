"""MLflow may cost one `dvc repro` 10 s in all; a failure uses them up, and is not tried again."""

import json
import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NoReturn

import psutil

from pipeline.core.errors import PipelineError
from pipeline.core.stage import SHELLS
from pipeline.tracking import store
from pipeline.tracking.database import is_to_be_made
from pipeline.tracking.processes import identify_process, is_same

SECONDS = 8.0  # of waiting; the rest of the 10 is for starting and ending processes
VARIABLE = "PIPELINE_MLFLOW_SECONDS"  # allows others, for a slow store or a busy machine
MAX_SECONDS = 86_400  # a day
CREATION_SECONDS = 60.0  # more, once, for a new database
WAITED = Path(".dvc/tmp/mlflow-waited.json")


def allowed() -> float:
    """Return how many seconds one command may wait for MLflow.

    Raises:
        PipelineError: the variable that allows others is no such number.
    """
    given = os.environ.get(VARIABLE)
    if given is None:
        return SECONDS
    with suppress(ValueError):
        seconds = float(given)
        if 0 <= seconds <= MAX_SECONDS:  # never true of NaN
            return seconds
    raise PipelineError(
        f"{VARIABLE}: must be a number of seconds from 0 to {MAX_SECONDS:,}, got {given!r}"
    )


def remaining() -> float:
    """Return how many seconds the present `dvc repro` may still wait for MLflow.

    Raises:
        PipelineError: the variable that allows them is no number.
    """
    seconds, database = allowed(), store.database()
    with suppress(PipelineError):  # of a folder that may not be looked into, as the store will say
        if database and is_to_be_made(database):
            seconds = max(seconds, CREATION_SECONDS)
    return max(0.0, seconds - _waited())


def spend(seconds: float, failed: bool) -> None:
    """Note that the present `dvc repro` has waited for MLflow; after a failure it waits no more."""
    dvc = _find_dvc()
    if not dvc:
        return
    waited = {"dvc": identify_process(dvc), "seconds": _waited() + seconds, "failed": failed}
    with suppress(OSError):  # a note that cannot be written must not fail training either
        WAITED.parent.mkdir(parents=True, exist_ok=True)
        WAITED.write_text(json.dumps(waited))


def follow(steps: Iterator[object]) -> None:
    """Go through steps that ask MLflow, each of which may take as long as one `dvc repro` waits.

    One that takes longer is left behind.

    Raises:
        PipelineError: a step raises it, or takes too long.
    """
    with suppress(ImportError):  # which the first step says
        store.import_mlflow()  # not to be taken for a slow store where the machine is busy
    results: SimpleQueue[PipelineError | bool] = SimpleQueue()

    def work() -> None:
        try:
            for _ in steps:
                results.put(True)
            results.put(False)
        except PipelineError as error:
            results.put(error)

    threading.Thread(target=work, daemon=True).start()
    result: PipelineError | bool = True
    while result is True:
        limit = remaining()
        try:
            result = results.get(timeout=limit)
        except Empty:
            raise no_answer(limit) from None
    if isinstance(result, PipelineError):
        raise result


def no_answer(seconds: float) -> PipelineError:
    """Return the error of a store that has not answered in time."""
    return PipelineError(f"MLflow: no answer within {seconds:.0f} s")


def warn(error: PipelineError) -> None:
    """Say in one line what is wrong and what to do."""
    print(f"{error}; the outputs do not depend on it; {store.REMEDY}", file=sys.stderr)


def exit_now(code: int = 0) -> NoReturn:
    """End the process; an orderly end might wait for MLflow's own threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _waited() -> float:
    """Return the seconds that this `dvc repro` has waited; without DVC, nothing is remembered."""
    dvc = _find_dvc()
    try:
        waited = json.loads(WAITED.read_text())
        if not dvc or not is_same(waited["dvc"], dvc):
            return 0.0
        return math.inf if waited["failed"] else float(waited["seconds"])
    # There is none, or not what `spend` writes.
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return 0.0


def _find_dvc() -> psutil.Process | None:
    """Return the process that runs this stage, perhaps through a shell; None without DVC."""
    if "DVC_STAGE" not in os.environ:
        return None
    parents = psutil.Process().parents()
    return next((process for process in parents if process.name() not in SHELLS), None)
