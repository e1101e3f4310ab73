"""A team's MLflow server: who may use it, two users at once, and a new start in between."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run

from tests.conftest import Clone
from tests.team_server import ADMIN, ANN, BEN, NAME, TeamServer, postgres

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
EPOCHS = 5


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    with postgres() as found:
        yield found


@pytest.fixture(scope="module")
def running(
    reproduced: Clone, variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TeamServer]:
    clone = reproduced.copy_to(tmp_path_factory.mktemp("server") / "clone")
    with TeamServer(clone, variables).running() as server:
        for name, password in (ANN, BEN):
            user = json.dumps({"username": name, "password": password}).encode()
            assert server.ask("/api/2.0/mlflow/users/create", ADMIN, user) == 200
        yield server


@pytest.fixture
def colleague(reproduced: Clone, running: TeamServer, tmp_path: Path) -> Callable[..., Clone]:
    """Make a clone that tracks as a user into the server, into an experiment of the test's own."""

    def make(user: tuple[str, str]) -> Clone:
        clone = reproduced.copy_to(tmp_path / user[0] / "clone")
        clone.env |= {
            "MLFLOW_TRACKING_URI": running.uri,
            "MLFLOW_TRACKING_USERNAME": user[0],
            "MLFLOW_TRACKING_PASSWORD": user[1],
            "MLFLOW_EXPERIMENT_NAME": tmp_path.name,
        }
        return clone

    return make


def runs_on(server: TeamServer, name: str, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Return all runs of an experiment, the oldest first."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN[0])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN[1])
    client = mlflow.MlflowClient(server.uri)
    found = client.get_experiment_by_name(name)
    return list(client.search_runs([found.experiment_id]))[::-1] if found else []


def epochs_of(server: TeamServer, run: Run) -> list[int]:
    history = mlflow.MlflowClient(server.uri).get_metric_history(run.info.run_id, "val_loss")
    return sorted(point.step for point in history)


def test_only_users_get_in_and_only_by_its_names(running: TeamServer) -> None:
    assert running.ask(SEARCH, ADMIN) == 200
    assert running.ask(SEARCH, ANN, Host=NAME) == 200
    assert running.ask(SEARCH) == 401
    assert running.ask(SEARCH, (ADMIN[0], "password1234")) == 401  # MLflow's former default
    assert running.ask(SEARCH, (ANN[0], BEN[1])) == 401
    assert running.ask(SEARCH, ADMIN, Host="elsewhere.example.com") == 403


@pytest.mark.parametrize("path", ["../mlflow.db", "../../etc/passwd", "%2e%2e/params.yaml"])
def test_nothing_outside_of_the_artifacts_is_served(running: TeamServer, path: str) -> None:
    assert running.ask(f"{ARTIFACTS}/{path}", ADMIN) == 400


def test_wrong_password_is_said_in_one_line(colleague: Callable[..., Clone]) -> None:
    result = colleague((ANN[0], "wrong")).run("python", "-m", "pipeline.publish", check=False)
    assert result.returncode == 1
    (line,) = result.stdout.splitlines()
    assert line.startswith("MLflow: ")
    assert "401" in line


def test_two_users_track_at_the_same_time(
    running: TeamServer,
    colleague: Callable[..., Clone],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clones = [colleague(user) for user in (ANN, BEN)]
    for seed, clone in enumerate(clones, start=1):
        clone.edit_params({"train.seed": seed})
    repros = [clone.popen("dvc", "repro") for clone in clones]
    for repro in repros:
        output, _ = repro.communicate(timeout=300)
        assert repro.returncode == 0, output
    # With little patience, for machines under load, tracking may have given up.
    for clone in clones:
        clone.run("python", "-m", "pipeline.publish")

    runs = runs_on(running, tmp_path.name, monkeypatch)

    assert sorted(run.data.params["train.seed"] for run in runs) == ["1", "2"]
    client = mlflow.MlflowClient(running.uri)
    for run in runs:
        assert run.info.status == "FINISHED"
        assert run.data.metrics.keys() >= {"test_accuracy", "val_loss"}
        assert epochs_of(running, run) == [1, 2]
        clone = clones[int(run.data.params["train.seed"]) - 1]
        name = "metrics/evaluation.json"
        local = client.download_artifacts(run.info.run_id, name, str(clone.path.parent))
        assert Path(local).read_bytes() == (clone.path / name).read_bytes()


def test_new_start_in_the_middle_of_a_training_loses_nothing(
    running: TeamServer,
    colleague: Callable[..., Clone],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clone = colleague(ADMIN)
    clone.edit_params({"train.epochs": EPOCHS, "model.conv_blocks": [[32, 64]]})
    repro = clone.popen("dvc", "repro", "train")
    deadline = time.monotonic() + 120
    while not any(epochs_of(running, run) for run in runs_on(running, tmp_path.name, monkeypatch)):
        assert repro.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    running.stop()
    running.start()
    output, _ = repro.communicate(timeout=300)
    assert repro.returncode == 0, output
    clone.run("dvc", "repro")
    clone.run("python", "-m", "pipeline.publish")

    (run,) = runs_on(running, tmp_path.name, monkeypatch)

    assert epochs_of(running, run) == list(range(1, EPOCHS + 1))
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test_accuracy"] > 0


def test_empty_server_is_filled_from_git_and_a_backup_is_as_good(
    reproduced: Clone,
    running: TeamServer,
    colleague: Callable[..., Clone],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clone = colleague(BEN)
    clone.run("python", "-m", "pipeline.publish", "--all-commits")
    (run,) = runs_on(running, tmp_path.name, monkeypatch)

    env, backup = os.environ | dict(running.variables), str(tmp_path / "backup")
    for command in (
        ["pg_dump", "--format=custom", f"--file={backup}", "mlflow"],
        ["createdb", "restored"],
        ["pg_restore", "--dbname=restored", backup],
    ):
        subprocess.run(command, env=env, check=True)
    other = reproduced.copy_to(tmp_path / "restored" / "clone")
    uri = "postgresql:///restored"
    with TeamServer(other, running.variables | {"MLFLOW_BACKEND_STORE_URI": uri}).running() as new:
        (again,) = runs_on(new, tmp_path.name, monkeypatch)
    assert again.data.to_dictionary() == run.data.to_dictionary()


@pytest.mark.parametrize("name", ["PGHOST", "MLFLOW_SERVER_ALLOWED_HOSTS"])
def test_what_must_be_set_is_named(reproduced: Clone, name: str) -> None:
    env = {"PGHOST": "a", "MLFLOW_SERVER_ALLOWED_HOSTS": "b", "MLFLOW_FLASK_SERVER_SECRET_KEY": "c"}
    result = reproduced.run(
        "make", "-o", "venv-server", "mlflow-server", check=False, **env | {name: ""}
    )
    assert result.returncode != 0
    assert f"{name}: must be set; see docs/team.md" in result.stdout
