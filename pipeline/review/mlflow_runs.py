"""Where MLflow has the runs of two states: asked of a process of its own, with a deadline.

MLflow takes seconds to import, and a store may not answer; a report must wait for neither.
"""

import json
import subprocess
import sys
import time

from pipeline.core.errors import PipelineError
from pipeline.core.package import PACKAGE
from pipeline.tracking import deadline, store
from pipeline.tracking.database import is_to_be_made


class Lookup:
    """A question to MLflow, which is not asked where there is no store."""

    def __init__(self) -> None:
        """Start the process, which then imports MLflow; its time begins.

        Raises:
            PipelineError: the variable that allows another time is no number.
        """
        self._process: subprocess.Popen[str] | None = None
        self._states: tuple[str, ...] = ()
        self._deadline = time.monotonic() + deadline.allowed()
        if store.enabled() and _may_have_runs():
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", f"{PACKAGE}.tracking.lookup"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def ask(self, *states: str) -> None:
        """Ask for the runs of states by their ids."""
        self._states = states

    def answer(self) -> dict[str, str] | str:
        """Return where the run of each state is that has one, or say why that is not known."""
        if self._process is None:
            return {}
        try:
            left = max(0.0, self._deadline - time.monotonic())
            output, errors = self._process.communicate(json.dumps(self._states), left)
        except subprocess.TimeoutExpired:
            return "No links to MLflow's runs: it did not answer in time."
        if self._process.returncode:
            *_, cause = errors.splitlines() or [""]
            return f"No links to MLflow's runs: {cause.removeprefix('MLflow: ')}"
        found: dict[str, str] = json.loads(output)
        return found

    def close(self) -> None:
        """End the process, if it has not ended."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def _may_have_runs() -> bool:
    database = store.database()
    try:
        return database is None or not is_to_be_made(database)
    except PipelineError:  # the process says so, too
        return True
