"""What has happened in a search, line by line, from which an interrupted one resumes.

Tune's own state is a snapshot that lacks the scheduler's and lags behind. Here each event is
written when it happens; the sampler and the scheduler are told the same events again.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core import files

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
OVER = "over"


@dataclass
class Trial:
    """One trial.

    Attributes:
        number: from 1.
        changes: the params that it sets, by their dotted names.
        epochs: for each, from 1, its loss, accuracy, val_loss and val_accuracy.
        times: when each epoch ended, in seconds since 1970.
        outcome: FINISHED, where all its epochs ran; STOPPED, FAILED; empty while it is running.
        fault: why it failed.
    """

    number: int
    changes: dict[str, Any]
    epochs: list[dict[str, float]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    outcome: str = ""
    fault: str = ""


class Journal:
    """The events of a search, in a file that is only added to.

    Attributes:
        trials: by their numbers.
        is_over: whether the search has come to its end.
    """

    def __init__(self, path: Path) -> None:
        self.trials: dict[int, Trial] = {}
        self.is_over = False
        self._spent, self._start = 0.0, time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        if whole != lines:  # a killed search has left half of one
            files.write_bytes(path, b"".join(whole))
        self.past = [json.loads(line) for line in whole]
        for event in self.past:
            self._apply(event)
            self._spent = event["seconds"]
        self._path = path  # opened for each line: Tune pickles whatever it is given

    @property
    def seconds(self) -> float:
        """How long the search has gone on, interruptions left out."""
        return self._spent + time.monotonic() - self._start

    @property
    def done(self) -> int:
        """How many trials have ended."""
        return sum(bool(trial.outcome) for trial in self.trials.values())

    @property
    def unfinished(self) -> Iterator[Trial]:
        """The trials that have begun and not ended."""
        return (trial for trial in self.trials.values() if not trial.outcome)

    def start(self, trial: int, changes: dict[str, Any]) -> None:
        """Note what a trial sets."""
        self._add({"event": "start", "trial": trial, "changes": changes})

    def end_epoch(self, trial: int, epoch: int, logs: dict[str, float]) -> bool:
        """Note what an epoch reached; one that is known, of a repeated trial, is left out."""
        if epoch <= len(self.trials[trial].epochs):
            return False
        self._add({"event": "epoch", "trial": trial, "logs": logs, "time": time.time()})
        return True

    def end(self, trial: int, outcome: str, fault: str = "") -> None:
        """Note how a trial has ended."""
        self._add({"event": "end", "trial": trial, "outcome": outcome, "fault": fault})

    def close(self) -> None:
        """Note that the search has come to its end."""
        self._add({"event": OVER})

    def forget(self) -> None:
        """Remove what has happened."""
        self._path.unlink()
        self.trials.clear()

    def _add(self, event: dict[str, Any]) -> None:
        event["seconds"] = round(self.seconds, 3)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")
        self._apply(event)

    def _apply(self, event: dict[str, Any]) -> None:
        number = event.get("trial", 0)
        match event["event"]:
            case "start":
                self.trials[number] = Trial(number, event["changes"])
            case "epoch":
                self.trials[number].epochs.append(event["logs"])
                self.trials[number].times.append(event["time"])
            case "end":
                self.trials[number].outcome = event["outcome"]
                self.trials[number].fault = event["fault"]
            case _:
                self.is_over = True


def find_best(journal: Journal, metric: str, sign: int) -> Trial | None:
    """Return the best of the trials that ran to their end, by their last epochs.

    One that was stopped early is no state that the pipeline could make. Among equals, a lower
    validation loss decides, then who came first.
    """
    ended = [trial for trial in journal.trials.values() if trial.outcome == FINISHED]

    def rank(trial: Trial) -> tuple[float, float, int]:
        last = trial.epochs[-1]
        return -sign * last[metric], last["val_loss"], trial.number

    return min(ended, key=rank, default=None)
