"""The MLflow run of the training that is running."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Self

from pipeline.core.package import PACKAGE
from pipeline.core.params import flatten
from pipeline.core.rounding import DIGITS
from pipeline.provenance import state
from pipeline.provenance.git import GitError
from pipeline.provenance.origin import present_origin
from pipeline.provenance.params import load_params
from pipeline.tracking import deadline, runs, store

COMMAND = [sys.executable, "-m", f"{PACKAGE}.tracking.recorder"]
ERROR_LENGTH = 1000  # a message that fits the pipe is written whole or not at all


class TrainingRun:
    """The MLflow run of the training that is running, written by a process beside it.

    The process starts at once, to import MLflow while TensorFlow is; `begin` opens the run.

    Where interrupted training resumes, so does its run.

    Used as a context manager: the run ends as FINISHED, as KILLED or, with the error as a tag,
    as FAILED. It stays tagged as incomplete until `publish` adds the evaluation.
    """

    def __init__(self, key: str, done: Sequence[Mapping[str, float]] = ()) -> None:
        """Describe the training with the present params.

        Args:
            key: digest of all that decides what training makes.
            done: the metrics of the epochs that are over already, the first one first.
        """
        self._key, self._done = key, done
        self._recorder: subprocess.Popen[bytes] | None = None
        self._begun, self._started = False, 0.0

    def __enter__(self) -> Self:
        self._started = time.time()
        if store.enabled():
            deadline.remaining()  # what is wrong with its variable is said before training
            self._recorder = _start_recorder()
        return self

    def begin(self) -> None:
        """Open the run: what is refused before that makes none."""
        if not self._recorder:
            return
        params = load_params()
        try:
            origin = present_origin(params)
        except GitError as error:  # better no run than one of the wrong commit
            deadline.warn(error)
            deadline.spend(0.0, failed=True)
            return
        beginning = {
            "seconds": self._started,
            "params": flatten(params),
            "origin": asdict(origin),
            "tags": {
                runs.TRAINING_TAG: state.identify(params, state.TRAINING_FILES),
                runs.KEY_TAG: self._key,
                **runs.process_tags(),
            },
        }
        self._begun = True
        self._send(**beginning)
        for epoch, metrics in enumerate(self._done, start=1):
            self.log_epoch(epoch, metrics)

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Show the metrics of an epoch, from 1, as exactly as the history has them."""
        rounded = {name: round(value, DIGITS) for name, value in metrics.items()}
        self._send(metrics=rounded, step=epoch, seconds=time.time())

    def log_facts(self, facts: Mapping[str, float]) -> None:
        """Show what is true of this run alone, such as its duration."""
        rounded = {name: round(value, 2) for name, value in facts.items()}
        self._send(metrics=rounded, seconds=time.time())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._recorder and self._begun:
            self._send(**_describe_end(kind, error), seconds=time.time())
            _wait(self._recorder)
        elif self._recorder:  # there is no run
            self._recorder.kill()
            self._recorder.wait()

    def _send(self, **message: object) -> None:
        """Tell the recorder; what it does not take, `publish` fills in."""
        if self._begun and self._recorder and self._recorder.stdin:
            line = json.dumps(message) + "\n"
            with suppress(BlockingIOError, BrokenPipeError):  # it is stuck, or has ended
                os.write(self._recorder.stdin.fileno(), line.encode())


def _describe_end(kind: type[BaseException] | None, error: BaseException | None) -> dict[str, str]:
    if kind is None:
        return {"status": "FINISHED"}
    if issubclass(kind, Exception):
        return {"status": "FAILED", "error": f"{kind.__name__}: {error}"[:ERROR_LENGTH]}
    return {"status": "KILLED"}


def _start_recorder() -> subprocess.Popen[bytes]:
    # Ctrl-C must not reach it, nor must it end with DVC: it has to say how the run ended.
    env = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    recorder = subprocess.Popen(  # noqa: S603
        COMMAND, stdin=subprocess.PIPE, env=env, start_new_session=True
    )
    if recorder.stdin:
        os.set_blocking(recorder.stdin.fileno(), False)  # training never waits for it
    return recorder


def _wait(recorder: subprocess.Popen[bytes]) -> None:
    """Let the recorder come to its end, as long as MLflow has time."""
    if recorder.stdin:
        recorder.stdin.close()
    start, limit = time.monotonic(), deadline.remaining()
    try:
        failed = recorder.wait(limit) > 0  # and has said why; one that was killed has not failed
    except subprocess.TimeoutExpired:
        recorder.kill()
        recorder.wait()
        failed = True
        deadline.warn(deadline.no_answer(limit))
    deadline.spend(time.monotonic() - start, failed)
