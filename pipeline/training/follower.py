"""Follow workers that train together: keep what they have done, and say what becomes of them."""

import os
import re
import sys
from collections.abc import Callable, Mapping

import ray

from pipeline.core.errors import PipelineError
from pipeline.training import history
from pipeline.training.checkpoint import Arrays
from pipeline.training.params import TrainParams

MAX_FAILURES = 3  # after each of which training resumes
WAITS = 4  # for machines that have room, as long as Ray Train's setting says
DIED = "health check"  # what Ray Train says of a worker that does not answer any more
TIMED_OUT = "startup timed out"  # what it says of machines without room
TASK = re.compile(r"/task:(\d+)")  # what TensorFlow calls a worker
COORDINATION = "CoordinationService"  # which the first worker runs


class Follower:
    """Does what messages ask for."""

    def __init__(
        self,
        params: TrainParams,
        saved: Arrays | None,
        on_start: Callable[[], None],
        on_epoch_end: Callable[[int, dict[str, float]], None],
        save: Callable[[Arrays], None],
    ) -> None:
        self.state = saved
        self._params, self._on_start = params, on_start
        self._on_epoch_end, self._save = on_epoch_end, save
        self._losses, self._cause = 0, ""
        self._machines = _machines()

    def start(self, _content: None) -> None:
        """Say once that the network is built: workers that replace others build it again."""
        self._on_start()
        self._on_start = lambda: None

    def save(self, state: Arrays) -> None:
        """Keep the state after an epoch, and say how the epoch went."""
        self.state = state
        self._save(state)
        rows = history.measured(state["history"])
        self._on_epoch_end(len(rows), rows[-1])

    def show(self, text: str) -> None:
        """Show progress."""
        print(text, end="", file=sys.stderr, flush=True)

    def lose(self, errors: Mapping[int, str]) -> None:
        """Say which worker was lost, and where training resumes.

        Args:
            errors: what Ray Train and the workers say, by the ranks of those who say it; who is
                left goes by what TensorFlow says of the lost one.
        """
        messages = " ".join(errors.values())
        tasks = {int(task) for task in TASK.findall(messages)}
        if not tasks and COORDINATION in messages:
            tasks = {0}
        lost = {rank for rank, text in errors.items() if DIED in text} or tasks - set(errors)
        rank, text = min(errors.items())
        said = f"worker {rank}: {text.splitlines()[-1]}" if text else f"worker {rank} failed"
        self._cause = ", ".join(f"worker {rank} was lost" for rank in sorted(lost)) or said
        self._losses += 1
        if self._losses <= MAX_FAILURES:
            done = len(history.measured(self.state["history"])) if self.state else 0
            place = f"after epoch {done}" if done else "from the start"
            loss = f"{self._cause}: training resumes {place} ({self._losses} of {MAX_FAILURES})"
            print(loss, flush=True)

    def fail(self, error: PipelineError) -> None:
        """Raise what no other worker would fix."""
        raise error

    def explain(self, fault: str) -> str:
        """Return why workers have ended before training has, of which Ray Train says `fault`."""
        again = "the same command resumes after the last whole epoch"
        if self._losses > MAX_FAILURES:
            return (
                f"{self._cause}, and {MAX_FAILURES} times before: nothing was written, and {again}"
            )
        if TIMED_OUT not in fault:
            return f"Ray Train: {fault.splitlines()[-1]}: nothing was written, and {again}"
        here = _machines()
        machines = [
            f"{address} ({f'{cores:g} cores' if (address, node) in here else 'lost'})"
            for (address, node), cores in (self._machines | here).items()
        ]
        seconds = WAITS * float(os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"])
        return (
            f"Ray: there is no room: {self._params.workers} workers need {self._params.threads} "
            f"cores each within {seconds:g} s, on {', '.join(machines)}; once they have them, "
            f"{again}"
        )


def _machines() -> dict[tuple[str, str], float]:
    """Return the cores of each machine of the cluster, by its address and Ray's id of it."""
    return {
        (node["NodeManagerAddress"], node["NodeID"]): node["Resources"].get("CPU", 0)
        for node in ray.nodes()
        if node["Alive"]
    }
