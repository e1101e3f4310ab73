"""The run of a training, while it goes on."""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pipeline import state
from pipeline.params import Params
from pipeline.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient

WAIT_SECONDS = 10  # for a store that is slow or does not answer


class TrainingRun:
    """The run of a training, written in the background while the training goes on.

    Used as a context manager: the run ends as FINISHED, as KILLED or, with the error as a tag,
    as FAILED. It stays tagged as incomplete until `publish` adds the evaluation.
    """

    def __init__(self, params: Params) -> None:
        self._params = params
        self._calls: SimpleQueue[Callable[[MlflowClient, str], object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Show the metrics of an epoch, from 1."""
        self._log_metrics(metrics, step=epoch)

    def finish(self, facts: Mapping[str, float]) -> None:
        """Record facts of this run, such as its duration, and what the training has made."""
        self._log_metrics(facts, step=0)
        training = state.identify(self._params, state.TRAINING_FILES)
        self._calls.put(lambda client, run: client.set_tag(run, store.TRAINING_TAG, training))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        status = "FINISHED"
        if kind:
            status = "FAILED" if issubclass(kind, Exception) else "KILLED"
        if status == "FAILED":
            message = f"{kind.__name__}: {error}" if kind else ""
            self._calls.put(lambda client, run: client.set_tag(run, "error", message))
        self._calls.put(lambda client, run: client.set_terminated(run, status))
        self._calls.put(None)
        self._thread.join(WAIT_SECONDS)
        if self._thread.is_alive():
            _warn(f"no answer within {WAIT_SECONDS} s")

    def _log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        now = time.time()
        self._calls.put(lambda client, run: store.log_metrics(client, run, metrics, step, now))

    def _work(self) -> None:
        try:
            client, experiment = store.open_store()
            tags = {store.INCOMPLETE_TAG: store.NOT_EVALUATED}
            run = store.create_run(client, experiment, self._params, tags)
            while call := self._calls.get():
                call(client, run)
        except Exception as error:  # whatever the store raises, training goes on
            _warn(f"{type(error).__name__}: {error}")


def _warn(fault: str) -> None:
    print(
        f"MLflow: {fault.splitlines()[0]}; the outputs do not depend on it; {store.REMEDY}",
        file=sys.stderr,
    )
