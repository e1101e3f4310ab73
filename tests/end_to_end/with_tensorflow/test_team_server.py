"""A team's MLflow server: who may use it, two users at once, a new start, and a backup."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pandas as pd
import psutil
import pytest
from mlflow.entities import Run

from tests.conftest import Clone
from tests.documented import commands_in
from tests.mlflow_store import EPOCH_METRICS, FACTS, md5, model_of
from tests.team_server import ADMIN, ANN, BEN, NAME, TeamServer, create_databases, postgres

CREATE = "/api/2.0/mlflow/experiments/create"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
EPOCHS = 20  # so many that training is not over before it is stopped
TIMEOUT = 120  # seconds: generous, for machines under load


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    with postgres() as found:
        create_databases(found, "mlflow", "mlflow_auth")
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


def epochs_of(server: TeamServer, run: Run, name: str = "val_loss") -> dict[int, float]:
    """Return the values of a metric by epoch, each of which was logged once."""
    points = mlflow.MlflowClient(server.uri).get_metric_history(run.info.run_id, name)
    values = {point.step: point.value for point in points}
    assert len(values) == len(points)
    return values


def assert_whole(server: TeamServer, run: Run, clone: Clone) -> None:
    """Check that the server has of a run all that its clone has, and hands out the same model."""
    assert run.info.status == "FINISHED"
    history = pd.read_csv(clone.path / "metrics/history.csv", index_col="epoch")
    for name in EPOCH_METRICS:
        assert epochs_of(server, run, name) == history[name].to_dict()
    evaluation = json.loads((clone.path / "metrics/evaluation.json").read_text())
    assert run.data.metrics["test_accuracy"] == evaluation["accuracy"]
    client = mlflow.MlflowClient(server.uri)
    figures = {f"figures/{path.name}" for path in (clone.path / "metrics/figures").glob("*.png")}
    assert figures
    found = client.list_artifacts(run.info.run_id, "figures")
    assert {file.path for file in found} == figures
    model = client.get_logged_model(model_of(run))
    local = mlflow.artifacts.download_artifacts(
        f"{model.artifact_location}/data/model.keras",
        dst_path=tempfile.mkdtemp(dir=clone.path.parent),
        tracking_uri=server.uri,
    )
    assert md5(Path(local)) == md5(clone.path / "models/model.keras")


def test_only_users_get_in_and_only_by_its_names(running: TeamServer) -> None:
    assert running.ask(SEARCH, ADMIN) == 200
    assert running.ask(SEARCH, ANN, Host=NAME) == 200
    assert running.ask(SEARCH) == 401
    assert running.ask(SEARCH, (ADMIN[0], "password1234")) == 401  # MLflow's former default
    assert running.ask(SEARCH, (ANN[0], BEN[1])) == 401
    assert running.ask(SEARCH, ADMIN, Host="elsewhere.example.com") == 403


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path",
    ["../params.yaml", "../../etc/passwd", "%2e%2e/params.yaml", "%252e%252e/params.yaml"],
)
def test_nothing_outside_of_the_artifacts_is_served_or_changed(
    running: TeamServer, path: str, method: str
) -> None:
    before = (running.clone.path / "params.yaml").read_bytes()
    content = b"changed" if method == "PUT" else None
    assert running.ask(f"{ARTIFACTS}/{path}", ADMIN, content, method) == 400
    assert (running.clone.path / "params.yaml").read_bytes() == before


@pytest.mark.parametrize("field", ["artifact_location", "artifactLocation"])
@pytest.mark.parametrize("twice", [False, True])  # encoded, as old clients do
def test_users_cannot_say_where_artifacts_lie(
    running: TeamServer, field: str, twice: bool, tmp_path: Path
) -> None:
    """Otherwise they could read and write whatever files the server can."""
    asked = json.dumps({"name": f"{field} {twice}", field: str(tmp_path)})
    content = (json.dumps(asked) if twice else asked).encode()
    assert running.ask(CREATE, ANN, content) == 403
    assert running.ask(CREATE, None, content) == 401


def test_users_can_create_experiments(running: TeamServer) -> None:
    for content in ({"name": "one"}, {"name": "two", "artifact_location": "", "tags": []}):
        assert running.ask(CREATE, ANN, json.dumps(content).encode()) == 200


def test_users_change_their_passwords(running: TeamServer) -> None:
    cara = {"username": "cara", "password": "first-password-3"}
    assert running.ask("/api/2.0/mlflow/users/create", ADMIN, json.dumps(cara).encode()) == 200
    old, new = cara["password"], "second-password-3"
    change = {"username": "cara", "current_password": old, "password": new}
    path = "/api/2.0/mlflow/users/update-password"
    assert running.ask(path, ANN, json.dumps(change).encode(), "PATCH") == 403
    assert running.ask(path, ("cara", old), json.dumps(change).encode(), "PATCH") == 200
    assert running.ask(SEARCH, ("cara", new)) == 200


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
    runs = runs_on(running, tmp_path.name, monkeypatch)

    assert sorted(run.data.params["train.seed"] for run in runs) == ["1", "2"]
    for run in runs:
        assert_whole(running, run, clones[int(run.data.params["train.seed"]) - 1])
        assert run.data.metrics.keys() >= set(FACTS)  # which were told while it went on
    first, second = runs
    assert max(first.info.start_time, second.info.start_time) < min(
        first.info.end_time, second.info.end_time
    )


def test_new_start_in_the_middle_of_a_training_loses_nothing(
    running: TeamServer,
    colleague: Callable[..., Clone],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clone = colleague(ADMIN)
    clone.edit_params({"train.epochs": EPOCHS})
    repro = clone.popen("dvc", "repro", PYTHONUNBUFFERED="1")
    assert repro.stdout
    while not repro.stdout.readline().startswith("Epoch 2/"):
        assert repro.poll() is None
    (training,) = [
        process
        for process in psutil.Process(repro.pid).children(recursive=True)
        if process.cmdline()[1:] == ["-m", "pipeline.train"]
    ]
    training.suspend()  # so that none is quicker than the server's end
    give_up = time.monotonic() + TIMEOUT
    begun: list[Run] = []
    while not begun or 1 not in epochs_of(running, begun[0]):
        assert time.monotonic() < give_up
        begun = runs_on(running, tmp_path.name, monkeypatch)
    assert EPOCHS not in epochs_of(running, begun[0])
    running.stop()
    training.resume()
    running.start()
    output, _ = repro.communicate(timeout=300)
    assert repro.returncode == 0, output
    clone.run("python", "-m", "pipeline.publish")

    (run,) = runs_on(running, tmp_path.name, monkeypatch)

    assert run.info.run_id == begun[0].info.run_id
    assert sorted(epochs_of(running, run)) == list(range(1, EPOCHS + 1))
    assert_whole(running, run, clone)


def test_new_server_is_filled_from_git(
    reproduced: Clone,
    colleague: Callable[..., Clone],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clone = colleague(ADMIN)
    clone.edit_params({"evaluate.confidence": 0.8})
    clone.run("dvc", "repro", PIPELINE_MLFLOW="off")
    clone.commit("Ask for less confidence")
    other = reproduced.copy_to(tmp_path / "new" / "clone")
    shutil.rmtree(other.path / "mlartifacts")
    with postgres() as variables:
        create_databases(variables, "mlflow", "mlflow_auth")
        with TeamServer(other, variables).running() as server:
            assert runs_on(server, tmp_path.name, monkeypatch) == []
            publish = ("python", "-m", "pipeline.publish", "--all-commits")
            clone.run(*publish, MLFLOW_TRACKING_URI=server.uri)

            runs = runs_on(server, tmp_path.name, monkeypatch)
            for run in runs:
                assert_whole(server, run, clone)  # both states have the same model
    assert sorted(run.data.params["evaluate.confidence"] for run in runs) == ["0.8", "0.95"]
    commits = clone.run("git", "log", "--max-count=2", "--format=%H").stdout.split()
    assert {run.data.tags["mlflow.source.git.commit"] for run in runs} == set(commits)


def test_backup_brings_runs_models_and_users_back(
    reproduced: Clone,
    running: TeamServer,
    colleague: Callable[..., Clone],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clone = colleague(BEN)
    clone.run("python", "-m", "pipeline.publish")
    (run,) = runs_on(running, tmp_path.name, monkeypatch)
    other = reproduced.copy_to(tmp_path / "restored" / "clone")
    shutil.rmtree(other.path / "mlartifacts")
    backup, restore = (commands_in("team.md", start) for start in ("pg_dump", "createdb mlflow &&"))

    running.clone.run("sh", "-ec", backup, check=True, **running.variables)
    for name in ("mlflow.dump", "mlflow_auth.dump", "mlartifacts.tar.gz"):
        shutil.move(running.clone.path / name, other.path)
    with postgres() as variables:
        other.run("sh", "-ec", restore, check=True, **variables)
        with TeamServer(other, variables).running() as restored:
            (again,) = runs_on(restored, tmp_path.name, monkeypatch)
            assert again.data.to_dictionary() == run.data.to_dictionary()
            assert_whole(restored, again, clone)
            assert restored.ask(SEARCH, ANN) == 200
            assert restored.ask(SEARCH, (ANN[0], BEN[1])) == 401


def test_first_start_without_a_password_is_refused(
    reproduced: Clone, variables: dict[str, str], tmp_path: Path
) -> None:
    create_databases(variables, "mlflow_auth_new")
    server = TeamServer(reproduced.copy_to(tmp_path / "clone"), variables)
    config = server.clone.path / "pipeline/tracking/basic_auth.ini"
    config.write_text(config.read_text().replace("mlflow_auth", "mlflow_auth_new"))
    settings = server.settings() | {"MLFLOW_AUTH_ADMIN_PASSWORD": ""}
    result = server.clone.run(*server.COMMAND, check=False, **settings)
    assert result.returncode != 0
    assert "MLFLOW_AUTH_ADMIN_PASSWORD" in result.stdout


@pytest.mark.parametrize("name", ["PGHOST", "MLFLOW_SERVER_ALLOWED_HOSTS"])
def test_what_must_be_set_is_named(reproduced: Clone, name: str) -> None:
    env = {"PGHOST": "a", "MLFLOW_SERVER_ALLOWED_HOSTS": "b", "MLFLOW_FLASK_SERVER_SECRET_KEY": "c"}
    result = reproduced.run(*TeamServer.COMMAND, check=False, **env | {name: ""})
    assert result.returncode != 0
    assert f"{name}: must be set; see docs/team.md" in result.stdout
