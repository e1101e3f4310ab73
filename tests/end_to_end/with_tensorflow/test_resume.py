"""Training that is killed goes on where it was, and ends as if nothing had happened."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pandas as pd
import psutil
import pytest
from mlflow.entities import Run

from pipeline.tracking.store import EXPERIMENT
from tests.conftest import Clone

EPOCHS = 60  # more than are over after the last kill
# All that has a state or draws at random.
RECIPE = {
    "model.batch_norm": True,
    "model.dropout": 0.2,
    "augmentation.rotation": 10,
    "train.learning_rate_schedule": "cosine",
    "train.early_stopping_patience": EPOCHS,
    "train.epochs": EPOCHS,
}
STAGE = ["-m", "pipeline.train"]
# Epochs that a training run has announced when it is killed, and what is killed with its stage.
KILLS = [
    (0, {"recorder": True, "dvc": True}),
    (1, {"recorder": False, "dvc": True}),
    (0, {"recorder": False, "dvc": False}),
    (2, {"recorder": True, "dvc": False}),
    (1, {"recorder": False, "dvc": False}),
]


class Training:
    """A `dvc repro` that is at work."""

    def __init__(self, clone: Clone) -> None:
        self._dvc = clone.popen("dvc", "repro", PYTHONUNBUFFERED="1")
        self.lines: list[str] = []

    @property
    def epochs(self) -> list[int]:
        """Those that it has announced."""
        return announced(self.lines)

    def follow(self, text: str = "> python -m pipeline.train", epochs: int = 0) -> None:
        """Read what it says until it has said this, and announced so many epochs."""
        assert self._dvc.stdout
        while not any(text in line for line in self.lines) or len(self.epochs) < epochs:
            line = self._dvc.stdout.readline()
            assert line, "".join(self.lines)
            self.lines.append(line)

    def kill_dvc(self) -> None:
        """Kill DVC, whose stage ends by itself."""
        psutil.Process(self._dvc.pid).kill()
        self._dvc.communicate()

    def kill(self, *, recorder: bool, dvc: bool) -> None:
        """Kill the stage, and maybe the process that writes its run, and DVC."""
        processes = psutil.Process(self._dvc.pid).children(recursive=True)
        (stage,) = [one for one in processes if one.cmdline()[1:3] == STAGE]
        for process in stage.children() * recorder + [psutil.Process(self._dvc.pid)] * dvc:
            process.kill()
        stage.kill()
        output, _ = self._dvc.communicate()
        self.lines += output.splitlines(keepends=True)
        assert self._dvc.returncode not in (0, None), "".join(self.lines)


@pytest.fixture
def start(clone: Clone) -> Iterator[Callable[[], Training]]:
    """Start trainings that end with the test."""
    started: list[Training] = []

    def begin() -> Training:
        started.append(Training(clone))
        return started[-1]

    yield begin
    for training in started:
        try:
            os.killpg(training._dvc.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def announced(lines: list[str]) -> list[int]:
    """Return the epochs of lines such as `Epoch 3/24: ...`."""
    return [int(line.split()[1].split("/")[0]) for line in lines if line.startswith("Epoch ")]


def runs_of(clone: Clone) -> list[Run]:
    client = mlflow.MlflowClient(f"sqlite:///{clone.path}/mlflow.db")
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def logged(clone: Clone, run: Run, name: str) -> dict[int, list[float]]:
    """Return the values that a run has for each epoch."""
    client = mlflow.MlflowClient(f"sqlite:///{clone.path}/mlflow.db")
    values: dict[int, list[float]] = {}
    for point in client.get_metric_history(run.info.run_id, name):
        values.setdefault(point.step, []).append(point.value)
    return values


def checkpoints(clone: Clone) -> list[Path]:
    return sorted((clone.path / ".dvc/tmp/checkpoints").glob("*.checkpoint"))


def test_killed_again_and_again_at_random_it_ends_with_the_bytes_of_one_that_was_not(
    clone: Clone, start: Callable[[], Training], tmp_path: Path
) -> None:
    clone.edit_params(RECIPE)
    (tmp_path / "other").mkdir()
    undisturbed = clone.copy_to(tmp_path / "other/repository")
    undisturbed.run("dvc", "repro", PIPELINE_MLFLOW="off")
    (known,) = runs_of(clone)

    draw = random.Random(0)  # noqa: S311, of how far it comes; where exactly it is then is chance
    seen: list[int] = []
    for epochs, killed in KILLS:
        training = start()
        training.follow(epochs=epochs)
        time.sleep(draw.uniform(0, 0.2 if training.epochs else 4))
        training.kill(**killed)
        seen += training.epochs
    last = clone.run("dvc", "repro").stdout.splitlines(keepends=True)
    seen += announced(last)

    assert (
        f"Resuming after epoch {announced(last)[0] - 1}, where training was interrupted\n" in last
    )
    assert seen == sorted(set(seen))  # none was done again
    assert clone.read() == undisturbed.read()
    (run,) = [one for one in runs_of(clone) if one.info.run_id != known.info.run_id]
    assert run.info.status == "FINISHED"
    assert "incomplete" not in run.data.tags
    history = pd.read_csv(clone.path / "metrics/history.csv").set_index("epoch")
    for name, column in history.items():
        assert logged(clone, run, str(name)) == {step: [value] for step, value in column.items()}


def test_killed_between_its_end_and_dvcs_note_of_it_no_epoch_is_lost(
    clone: Clone, start: Callable[[], Training]
) -> None:
    known = {run.info.run_id for run in runs_of(clone)}
    clone.edit_params({"train.epochs": 3})
    training = start()
    training.follow("Trained for")
    training.kill_dvc()
    assert training.epochs == [1, 2, 3]

    output = clone.run("dvc", "repro").stdout
    assert "Resuming after epoch 3, where training was interrupted" in output
    assert announced(output.splitlines()) == []
    (run,) = [run for run in runs_of(clone) if run.info.run_id not in known]
    assert run.info.status == "FINISHED"
    assert "incomplete" not in run.data.tags
    assert list(logged(clone, run, "loss")) == [1, 2, 3]

    # What DVC has is trained again where that is asked for.
    made = clone.read(("models",))
    again = clone.run("dvc", "repro", "--force", "--single-item", "train").stdout
    assert announced(again.splitlines()) == [1, 2, 3]
    assert clone.read(("models",)) == made


def test_what_another_training_left_is_not_used(
    clone: Clone, start: Callable[[], Training]
) -> None:
    def change_code() -> None:
        with (clone.path / "pipeline/training/epoch_loop.py").open("a") as module:
            module.write("# Another one.\n")

    # Which params and data count, tests/training/test_checkpoint.py has.
    changes: list[Callable[[], None]] = [lambda: clone.edit_params(RECIPE), change_code]
    left: list[Path] = []
    known = {run.info.run_id for run in runs_of(clone)}
    for number, change in enumerate(changes, start=1):
        change()
        training = start()
        # Two, for the first is in MLflow then: it is logged before the second begins.
        training.follow(epochs=2)
        training.kill(recorder=False, dvc=True)

        assert training.epochs[0] == 1
        assert not any("Resuming" in line for line in training.lines)
        assert not set(left) & set(checkpoints(clone))
        left = checkpoints(clone)
        assert len(left) == 1
        assert len({run.info.run_id for run in runs_of(clone)} - known) == number


def test_change_of_params_during_training_is_refused_in_the_end(
    clone: Clone, start: Callable[[], Training]
) -> None:
    clone.edit_params({"train.epochs": 20})
    training = start()
    training.follow(epochs=1)
    clone.edit_params({"train.epochs": 2})
    training.follow("were changed while the network was trained")
    assert not (clone.path / "models/model.keras").exists()
