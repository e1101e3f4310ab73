"""How a run ends when its training does not end well, and what becomes of it afterwards."""

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import mlflow
import psutil
from mlflow.entities import Run

from pipeline.tracking.processes import identify_process
from pipeline.tracking.store import EXPERIMENT
from tests.conftest import Clone
from tests.processes import TIMEOUT, wait_until

HOLD = Path(__file__).parents[2] / "hold"


def client_of(clone: Clone) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{clone.path}/mlflow.db")


def runs_of(clone: Clone) -> dict[str, Run]:
    """Return the runs by their ids, the newest first."""
    client = client_of(clone)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}


def new_run(clone: Clone, known: dict[str, Run]) -> Run:
    (run,) = [run for identifier, run in runs_of(clone).items() if identifier not in known]
    return run


@contextmanager
def held(clone: Clone, place: str) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """Run `dvc repro` until a stage is at `place`; give DVC and the process of the stage."""
    flag = clone.path.parent / "held"
    dvc = clone.popen("dvc", "repro", PYTHONPATH=str(HOLD), HOLD_AT=place, HOLD_FLAG=str(flag))
    try:
        wait_until(lambda: dvc.poll() is not None or bool(flag.exists() and flag.read_text()))
        assert dvc.poll() is None
        yield dvc, psutil.Process(int(flag.read_text()))
    finally:
        flag.unlink(missing_ok=True)
        with suppress(ProcessLookupError):
            os.killpg(dvc.pid, signal.SIGKILL)
        dvc.communicate(timeout=TIMEOUT)  # until all that write to its output have ended


def interrupt(dvc: subprocess.Popen[str], _stage: psutil.Process) -> None:
    os.killpg(dvc.pid, signal.SIGINT)  # as a terminal does


def terminate_dvc(dvc: subprocess.Popen[str], _stage: psutil.Process) -> None:
    dvc.terminate()


def terminate_all(_dvc: subprocess.Popen[str], stage: psutil.Process) -> None:
    for process in [*stage.children(), stage]:  # as what stops a service or a job does
        process.terminate()


def kill(_dvc: subprocess.Popen[str], stage: psutil.Process) -> None:
    stage.kill()


def kill_all(_dvc: subprocess.Popen[str], stage: psutil.Process) -> None:
    for process in [*stage.children(), stage]:
        process.kill()


Stop = Callable[[subprocess.Popen[str], psutil.Process], None]


def stop_training(clone: Clone, known: dict[str, Run], stop: Stop) -> Run:
    """Stop a training run that has come to its last file; return its MLflow run."""
    with held(clone, "models/model.keras") as (dvc, stage):
        wait_until(lambda: len(runs_of(clone)) > len(known))
        wait_until(lambda: new_run(clone, known).info.status == "RUNNING")
        stop(dvc, stage)
        output, _ = dvc.communicate(timeout=TIMEOUT)
        assert dvc.returncode != 0
        assert "fills in what is missing" not in output
    return new_run(clone, known)


def test_training_that_is_stopped_leaves_a_killed_run_that_the_next_one_goes_on_with(
    clone: Clone,
) -> None:
    clone.edit_params({"train.seed": 1})
    known = runs_of(clone)
    stops: list[Stop] = [interrupt, terminate_dvc, terminate_all, kill]
    stopped = [stop_training(clone, known, stop) for stop in stops]
    assert [run.info.status for run in stopped] == ["KILLED"] * len(stops)

    # Where nobody could end it, `publish` does, also while there is nothing to publish.
    left = stop_training(clone, known, kill_all)
    assert left.info.status == "RUNNING"
    result = clone.run("python", "-m", "pipeline.publish", check=False)
    assert result.returncode == 1
    assert result.stdout.startswith("models/model.keras: cannot be read")
    assert new_run(clone, known).info.status == "KILLED"

    # An evaluation that fails leaves it to the next `dvc repro`, which need not train again.
    with held(clone, "metrics/predictions.csv") as (dvc, stage):
        stage.kill()
        dvc.communicate(timeout=TIMEOUT)
        assert dvc.returncode != 0
    trained = new_run(clone, known)
    assert trained.info.status == "FINISHED"
    assert trained.data.tags["incomplete"] == "not evaluated"
    assert "> python -m pipeline.train" not in clone.run("dvc", "repro").stdout
    completed = new_run(clone, known)
    assert "incomplete" not in completed.data.tags
    assert "test_accuracy" in completed.data.metrics
    assert {run.info.run_id for run in [*stopped, left, trained, completed]} == {left.info.run_id}


def test_publish_marks_only_runs_of_this_machine_whose_process_is_gone(clone: Clone) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
    identity = identify_process(psutil.Process(gone.pid))
    zombie = subprocess.Popen([sys.executable, "-c", ""])  # as where nobody waits for orphans
    left = identify_process(psutil.Process(zombie.pid))
    wait_until(lambda: psutil.Process(zombie.pid).status() == psutil.STATUS_ZOMBIE)
    gone.communicate()
    own = identify_process(psutil.Process())
    client, here = client_of(clone), platform.node()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    expected = {
        client.create_run(
            experiment.experiment_id, tags={"host": host, "process": process}
        ).info.run_id: status
        for host, process, status in [
            (here, own, "RUNNING"),
            ("elsewhere", identity, "RUNNING"),
            (here, identity, "KILLED"),
            (here, left, "KILLED"),
            (here, f"{os.getpid()} 1", "KILLED"),  # the PID is reused
            (here, f"{identity.rsplit(maxsplit=1)[0]} another-container", "RUNNING"),
        ]
    }
    clone.run("python", "-m", "pipeline.publish")
    found = runs_of(clone)
    assert {run: found[run].info.status for run in expected} == expected
    zombie.wait()


def test_training_that_fails_leaves_a_failed_run_with_the_error(clone: Clone) -> None:
    known = runs_of(clone)
    clone.edit_params({"train.learning_rate": 1e38})
    result = clone.run("dvc", "repro", check=False)
    assert result.returncode != 0, result.stdout
    run = new_run(clone, known)
    assert run.info.status == "FAILED"
    kind, _, message = run.data.tags["error"].partition(": ")
    assert kind == "PipelineError"
    assert message in result.stdout.splitlines()


def test_network_that_does_not_fit_the_images_makes_no_run(clone: Clone) -> None:
    """Whatever it is built of: what only Keras can tell is told before the run opens."""
    known, path = runs_of(clone), clone.path / "pipeline/model/network.py"
    path.write_text(path.read_text().replace("MaxPooling2D(2,", "MaxPooling2D(30,"))
    result = clone.run("python", "-m", "pipeline.train", check=False)
    assert result.returncode == 2
    assert result.stdout == (
        "params.yaml: model: this network cannot take images of 28x28 pixels: Exception "
        "encountered when calling MaxPooling2D.call(). Computed output size would be zero or "
        "negative\n"
    )
    assert runs_of(clone).keys() == known.keys()
