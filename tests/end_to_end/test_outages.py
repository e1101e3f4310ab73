"""What a tracking server or database that fails costs the pipeline: one line, a few seconds."""

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import psutil
import pytest
from mlflow.entities import Run

from pipeline.tracking import deadline, training_run
from pipeline.tracking.store import REMEDY
from pipeline.tracking.training_run import TrainingRun
from tests.conftest import Clone
from tests.faulty_server import (
    MlflowServer,
    answer_500,
    drip,
    drop,
    failing_server,
    free_port,
    hang,
)
from tests.processes import wait_until

# Training, which takes the recorder, and what publishes: in an experiment in which nothing is.
REPRO = ("dvc", "repro", "--force", "--single-item", "train", "plot")
# What the two tell MLflow, as children of one process as they are of DVC, without TensorFlow.
TELL_ALONE = """
import os, subprocess, sys
training = '''
import csv, time
from pathlib import Path
import psutil
from pipeline.tracking.training_run import TrainingRun

def is_at_work(process):  # and not over, or waiting for its store
    if process.status() == psutil.STATUS_ZOMBIE:
        return False
    before = sum(process.cpu_times()[:2])
    time.sleep(1)
    return sum(process.cpu_times()[:2]) - before > 0.02

with TrainingRun("key") as run:
    while is_at_work(psutil.Process(run._recorder.pid)):  # it imports MLflow: training takes longer
        pass
    run.begin()
    for row in csv.DictReader(Path("metrics/history.csv").open()):
        run.log_epoch(int(row.pop("epoch")), {name: float(value) for name, value in row.items()})
'''
for stage, *arguments in (("train", "-c", training), ("plot", "-m", "pipeline.publish")):
    env = os.environ | {"DVC_STAGE": stage}
    subprocess.run([sys.executable, *arguments], env=env, check=True)
"""
TELL = (sys.executable, "-c", TELL_ALONE)
ALLOWED_SECONDS = 10.0
PATIENT_SECONDS = 120  # for MLflow's import, which a busy machine may draw out
NOISE_SECONDS = 10.0  # by which two runs may differ on a machine under load
CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")
# Runs a command that can write no file above a size in bytes.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execvp(sys.argv[2], sys.argv[2:])
"""
# Ends as the real recorder does, but after fractions of a second.
HASTY_RECORDER = """
from pipeline.tracking import deadline, recorder
deadline.SECONDS = recorder.MORE_SECONDS = 0.5
recorder.main()
"""
# Cannot open its store before a file is there, and says with another one that it would.
SLOW_RECORDER = """
import time
from pathlib import Path
from pipeline.tracking import recorder, store
open_store = store.open_store
def open_slowly():
    Path("asked").touch()
    while not Path("answer").exists():
        time.sleep(0.01)
    return open_store()
store.open_store = open_slowly
recorder.main()
"""
ORIGIN = {
    **dict.fromkeys(("commit", "branch", "experiment", "changes", "user"), "x"),
    "uncommitted": False,
    "seconds": None,
}


@dataclass(frozen=True)
class Untracked:
    """What reproducing takes and prints without MLflow."""

    seconds: float
    lines: list[str]


@pytest.fixture(scope="module")
def untracked(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> Untracked:
    clone = reproduced.copy_to(tmp_path_factory.mktemp("untracked") / "repository")
    start = time.monotonic()
    output = clone.run(*REPRO, PIPELINE_MLFLOW="off").stdout
    return Untracked(time.monotonic() - start, lines_of(output))


def lines_of(output: str) -> list[str]:
    """Return the lines that are the same whenever the same is done."""
    return [line for line in output.splitlines() if not line.startswith("Trained for ")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("server"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def tracked(clone: Clone, tmp_path: Path) -> Clone:
    """A clone whose runs go to an experiment of this test, in a database beside the clone."""
    shutil.copy(clone.path / "mlflow.db", tmp_path)
    clone.env["MLFLOW_TRACKING_URI"] = f"sqlite:///{tmp_path}/mlflow.db"
    clone.env["MLFLOW_EXPERIMENT_NAME"] = tmp_path.name
    del clone.env[deadline.VARIABLE]
    return clone


def find_runs(clone: Clone, database: str = "") -> list[Run]:
    client = mlflow.MlflowClient(database or clone.env["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(clone.env["MLFLOW_EXPERIMENT_NAME"])
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def steps(run: Run, name: str, database: str) -> list[int]:
    points = mlflow.MlflowClient(database).get_metric_history(run.info.run_id, name)
    return sorted(point.step for point in points)


def reproduce_in_an_outage(clone: Clone, untracked: Untracked, uri: str) -> None:
    """Check what an outage costs `dvc repro`."""
    start = time.monotonic()
    tell_in_an_outage(clone, *REPRO, known=untracked.lines, tracking_uri=uri)
    # Nobody waits for the store's own patience; other runs may make this one slower than that one.
    assert time.monotonic() - start < 3 * untracked.seconds + ALLOWED_SECONDS + NOISE_SECONDS


def tell_in_an_outage(
    clone: Clone, *command: str, known: Sequence[str] = (), tracking_uri: str = ""
) -> None:
    """Check what an outage costs a command: one line that is not known, and a few seconds."""
    _tell(clone, command, known, MLFLOW_TRACKING_URI=tracking_uri)
    waited = json.loads((clone.path / deadline.WAITED).read_text())
    assert waited["seconds"] < ALLOWED_SECONDS


def find_cause(clone: Clone, *command: str, tracking_uri: str = "") -> str:
    """Return the one line that an outage adds, when there is time for the store's own answer."""
    env = {"MLFLOW_TRACKING_URI": tracking_uri, deadline.VARIABLE: str(PATIENT_SECONDS)}
    return _tell(clone, command, (), **env)


def _tell(clone: Clone, command: Sequence[str], known: Sequence[str], **env: str) -> str:
    whole = clone.read()
    given = {name: value for name, value in env.items() if value}
    output = clone.run(*command or TELL, check=True, **given).stdout
    assert clone.read() == whole
    (line,) = [line for line in lines_of(output) if line not in known]
    assert line.startswith("MLflow: ")
    assert line.endswith(REMEDY)
    return line


def publish_afterwards(clone: Clone, server: MlflowServer | None = None) -> Run:
    """Publish to the store, which works again; check that the one run is complete."""
    database = server.database if server else clone.env["MLFLOW_TRACKING_URI"]
    uri = server.uri if server else database
    output = clone.run("python", "-m", "pipeline.publish", MLFLOW_TRACKING_URI=uri).stdout
    assert "MLflow: c" in output  # completed or created
    (run,) = find_runs(clone, database)
    history = pd.read_csv(clone.path / "metrics/history.csv")
    for name in CURVES:
        assert steps(run, name, database) == history["epoch"].tolist()
        assert run.data.metrics[name] == pytest.approx(history[name].iloc[-1], abs=1e-6)
    evaluation = json.loads((clone.path / "metrics/evaluation.json").read_text())
    assert run.data.metrics["test_accuracy"] == evaluation["accuracy"]
    assert run.info.status == "FINISHED"
    assert "incomplete" not in run.data.tags
    assert run.outputs
    assert len(run.outputs.model_outputs) == 1
    return run


def test_server_that_refuses(tracked: Clone, untracked: Untracked) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    reproduce_in_an_outage(tracked, untracked, uri)
    assert "Connection refused" in find_cause(tracked, tracking_uri=uri)  # and not: no answer
    publish_afterwards(tracked)


def test_store_that_fails_from_the_start(tracked: Clone) -> None:
    """However it fails, it costs a line and seconds; the one that works then gets the whole run."""
    for fault in (hang, drip, answer_500):
        with failing_server(fault) as failing:
            tell_in_an_outage(tracked, tracking_uri=failing.uri)
            assert failing.requests, fault
    tell_in_an_outage(tracked, tracking_uri="sqlite:////proc/nowhere/mlflow.db")  # cannot be made
    assert find_runs(tracked) == []
    publish_afterwards(tracked)


def test_server_that_dies_in_the_middle_of_training(tracked: Clone, server: MlflowServer) -> None:
    """What it has of the run by then is completed later, and no other run is added."""
    with failing_server(drop, server, server.kill) as failing:
        tell_in_an_outage(tracked, tracking_uri=failing.uri)
    check_completed(tracked, server, restart=True)


def test_server_that_hangs_in_the_middle_of_training(tracked: Clone, server: MlflowServer) -> None:
    with failing_server(hang, server) as failing:
        tell_in_an_outage(tracked, tracking_uri=failing.uri)
    check_completed(tracked, server)


def check_completed(tracked: Clone, server: MlflowServer, *, restart: bool = False) -> None:
    """Check that what was cut off after the first epoch is completed by `publish`."""
    (begun,) = find_runs(tracked, server.database)
    assert begun.info.status == "RUNNING"
    assert steps(begun, "val_loss", server.database) == [1]
    if restart:
        server.start()
    assert publish_afterwards(tracked, server).info.run_id == begun.info.run_id


def test_locked_database(tracked: Clone, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        tell_in_an_outage(tracked)
    assert find_runs(tracked) == []
    publish_afterwards(tracked)


def test_database_that_can_only_be_read(tracked: Clone, tmp_path: Path) -> None:
    uri = f"sqlite:///file:{tmp_path}/mlflow.db?mode=ro&uri=true"  # holds for root, too
    assert "attempt to write a readonly database" in find_cause(tracked, tracking_uri=uri)
    publish_afterwards(tracked)


def test_database_on_a_full_disk(tracked: Clone, tmp_path: Path) -> None:
    # Not a full disk but, where the database ends, an error like that of one.
    size = (tmp_path / "mlflow.db").stat().st_size
    assert size > max(map(len, tracked.read().values()))  # nothing else is in need of so much
    limited = (sys.executable, "-c", LIMITED, str(size), *TELL)
    assert "disk" in find_cause(tracked, *limited)
    publish_afterwards(tracked)


def test_artifacts_that_cannot_be_written(tracked: Clone) -> None:
    """Then training has its run, and publishing fails."""
    artifacts = tracked.path / "mlartifacts"
    shutil.rmtree(artifacts)
    artifacts.touch()
    tell_in_an_outage(tracked)
    (begun,) = find_runs(tracked)
    assert begun.data.tags["incomplete"] == "not evaluated"
    artifacts.unlink()
    assert publish_afterwards(tracked).info.run_id == begun.info.run_id


@pytest.fixture
def in_reproduced(reproduced: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in a clone in which the files that training reads are."""
    monkeypatch.chdir(reproduced.path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")  # nothing that must be made
    monkeypatch.setattr(deadline, "SECONDS", 0.5)


def record_with(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(training_run, "COMMAND", [sys.executable, "-c", code])


@pytest.mark.usefixtures("in_reproduced")
def test_recorder_that_never_reads_does_not_stop_training(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    record_with(monkeypatch, "import time; time.sleep(600)")
    others = psutil.Process().children()
    recorders: list[psutil.Process] = []

    def train() -> None:
        with TrainingRun("key") as run:
            run.begin()
            recorders.extend(set(psutil.Process().children()).difference(others))
            for epoch in range(5000):  # far more than a pipe holds
                run.log_epoch(epoch, dict.fromkeys(CURVES, 0.5))

    training = threading.Thread(target=train, daemon=True)
    training.start()
    training.join(60)
    assert not training.is_alive()
    (recorder,) = recorders
    assert not recorder.is_running()
    assert capfd.readouterr().err == (
        f"MLflow: no answer within 0 s; the outputs do not depend on it; {REMEDY}\n"
    )


@pytest.mark.usefixtures("in_reproduced")
@pytest.mark.parametrize(
    ("code", "failed"),
    [
        ("raise SystemExit(1)", True),  # as the real one does, when it has said why
        ("import os; os.kill(os.getpid(), 9)", False),  # then the store may be well
    ],
)
def test_recorder_that_ends_early_does_not_stop_training(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], code: str, failed: bool
) -> None:
    record_with(monkeypatch, code)
    others = psutil.Process().children()
    spent: list[bool] = []
    monkeypatch.setattr(deadline, "spend", lambda _seconds, failed: spent.append(failed))
    with TrainingRun("key") as run:
        run.begin()
        (recorder,) = set(psutil.Process().children()).difference(others)
        # It has ended, which is not yet noticed.
        wait_until(lambda: recorder.status() == psutil.STATUS_ZOMBIE)
        run.log_epoch(1, dict.fromkeys(CURVES, 0.5))
    assert spent == [failed]
    assert capfd.readouterr().err == ""


def test_slow_store_gets_the_whole_run(tracked: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """What training tells meanwhile is more than a pipe holds."""
    monkeypatch.chdir(tracked.path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.setenv(name, tracked.env[name])
    monkeypatch.setenv(deadline.VARIABLE, "120")  # for the recorder, too, however busy the machine
    record_with(monkeypatch, SLOW_RECORDER)
    epochs = 400
    with TrainingRun("key") as run:
        run.begin()
        wait_until(Path("asked").exists)
        for epoch in range(1, epochs + 1):
            run.log_epoch(epoch, dict.fromkeys([*CURVES, "x" * 100], 0.5))
            time.sleep(0.002)  # as fast as no training is
        Path("answer").touch()
    (found,) = find_runs(tracked)
    assert found.info.status == "FINISHED"
    assert steps(found, "loss", tracked.env["MLFLOW_TRACKING_URI"]) == [*range(1, epochs + 1)]


def test_recorder_of_a_killed_training_ends_though_its_store_hangs(tracked: Clone) -> None:
    with failing_server(hang) as failing:
        recorder = subprocess.Popen(
            [sys.executable, "-c", HASTY_RECORDER],
            cwd=tracked.path,
            env=tracked.env | {"MLFLOW_TRACKING_URI": failing.uri},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert recorder.stdin
        recorder.stdin.write(json.dumps({"origin": ORIGIN, "params": {}, "tags": {}}) + "\n")
        recorder.stdin.flush()
        wait_until(lambda: failing.requests)
        try:
            _, error = recorder.communicate(timeout=60)
        finally:
            recorder.kill()
    assert error == f"MLflow: no answer within 1 s; the outputs do not depend on it; {REMEDY}\n"
