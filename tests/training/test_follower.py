"""What becomes of workers is said in one line each, and none of their epochs is lost."""

import numpy as np
import pytest

from pipeline.provenance.params import load_params
from pipeline.training import follower, history
from pipeline.training.checkpoint import Arrays
from pipeline.training.follower import MAX_FAILURES, Follower
from tests.conftest import FROZEN

PARAMS = load_params(FROZEN["params.yaml"])

DIED = "A worker health check failed.\nWorker info: ..."
LEFT = "From /job:worker/replica:0/task:1:\n/job:worker/replica:0/task:1 is unavailable"


class Seen(Follower):
    """Follows with callbacks that note what they are given."""

    def __init__(self, saved: Arrays | None = None) -> None:
        self.starts, self.epochs, self.states = 0, list[int](), list[Arrays]()
        super().__init__(
            PARAMS.train, saved, self._start, lambda n, _: self.epochs.append(n), self.states.append
        )

    def _start(self) -> None:
        self.starts += 1


def state_after(epochs: int) -> Arrays:
    rows = history.begin(5)
    rows[:epochs] = 0.5
    return {"history": rows, "weights/0": np.zeros(1)}


@pytest.fixture(autouse=True)
def _machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_machines", lambda: {("10.0.0.1", "a"): 1.0})
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "15")


def test_each_epoch_is_saved_and_the_network_begins_once() -> None:
    seen = Seen()
    for message, content in [("start", None), ("save", state_after(1)), ("start", None)]:
        getattr(seen, message)(content)
    seen.save(state_after(2))
    assert (seen.starts, seen.epochs, len(seen.states)) == (1, [1, 2], 2)


@pytest.mark.parametrize(
    ("errors", "cause"),
    [
        ({1: DIED, 0: LEFT}, "worker 1 was lost"),
        ({0: DIED, 1: DIED}, "worker 0 was lost, worker 1 was lost"),
        ({0: LEFT, 2: LEFT}, "worker 1 was lost"),
        ({1: "RPC: /tensorflow.CoordinationService/Heartbeat"}, "worker 0 was lost"),
        ({0: "Traceback\nValueError: odd"}, "worker 0: ValueError: odd"),
    ],
)
def test_loss_is_named_with_the_place_where_training_resumes(
    capsys: pytest.CaptureFixture[str], errors: dict[int, str], cause: str
) -> None:
    Seen().lose(errors)
    Seen(state_after(3)).lose(errors)
    assert capsys.readouterr().out.splitlines() == [
        f"{cause}: training resumes from the start (1 of 3)",
        f"{cause}: training resumes after epoch 3 (1 of 3)",
    ]


def test_too_many_losses_and_machines_that_do_not_come_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = Seen()
    for _ in range(MAX_FAILURES + 1):
        seen.lose({1: DIED})
    assert seen.explain("Training failed").startswith(
        "worker 1 was lost, and 3 times before: nothing was written, and the same command resumes"
    )
    waiting = Seen()
    monkeypatch.setattr(follower, "_machines", lambda: {("10.0.0.2", "b"): 4.0})
    fault = "The worker group startup timed out after 15 seconds. Potential causes: ..."
    assert waiting.explain(fault).startswith(
        "Ray: there is no room: 1 workers need 2 cores each within 60 s, on 10.0.0.1 (lost), "
        "10.0.0.2 (4 cores); once"
    )
    other = Seen().explain("Training failed:\nThe actor died")
    assert other.startswith("Ray Train: The actor died: nothing was written, and the same command")
