"""Where the runs go: MLflow's variables, and what becomes of a store that is moved."""

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow

from pipeline.tracking import store
from tests.conftest import Clone
from tests.documented import commands_in
from tests.mlflow_store import artifacts_of, md5, model_folder, run_named, runs_of

PUBLISH = ("python", "-m", "pipeline.publish")


def names_in(uri: str, experiment: str) -> list[str]:
    client = mlflow.MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return [run.info.run_name for run in client.search_runs([found.experiment_id])] if found else []


def test_relative_database_is_that_of_the_root_in_a_temporary_folder_too(clone: Clone) -> None:
    clone.run(
        *("dvc", "exp", "run", "--temp", "--name", "apart", "-S", "evaluate.confidence=0.8"),
        MLFLOW_TRACKING_URI="sqlite:///runs.db",
    )
    assert names_in(f"sqlite:///{clone.path}/runs.db", store.EXPERIMENT) == ["apart"]
    assert len(runs_of(clone)) == 1


def test_variables_of_mlflow_are_respected_but_the_run_id(clone: Clone) -> None:
    (before,) = runs_of(clone)
    clone.run(*PUBLISH, MLFLOW_EXPERIMENT_NAME="another", MLFLOW_RUN_ID=before.info.run_id)
    (run,) = runs_of(clone, "another")
    assert run.info.run_id != before.info.run_id
    (unchanged,) = runs_of(clone)
    assert unchanged.data.to_dictionary() == before.data.to_dictionary()

    elsewhere = f"sqlite:///{clone.path.parent}/elsewhere.db"
    client = mlflow.MlflowClient(elsewhere)
    identifier = client.create_experiment("made before", str(clone.path.parent / "artifacts"))
    clone.run(*PUBLISH, MLFLOW_TRACKING_URI=elsewhere, MLFLOW_EXPERIMENT_ID=identifier)
    (run,) = client.search_runs([identifier])
    assert "figures/loss.png" in artifacts_of(run)
    assert (clone.path.parent / "artifacts").is_dir()


def test_empty_database_is_made_and_a_cut_one_is_named_with_what_to_do(clone: Clone) -> None:
    database = clone.path / "mlflow.db"
    (before,) = runs_of(clone)
    content = database.read_bytes()
    for damaged in (content[: len(content) // 2], b"no database" * 1000):
        database.write_bytes(damaged)
        result = clone.run(*PUBLISH, check=False)
        assert result.returncode == 1
        (line,) = result.stdout.splitlines()
        assert line.startswith(f"MLflow: {database} is damaged: move it away, and `")
    remedy = line.split("`")[1].split()
    database.unlink()  # as it says
    database.touch()
    clone.run(*remedy)
    (run,) = runs_of(clone)
    assert run.data.tags["state"] == before.data.tags["state"]
    assert model_folder(clone, run).is_dir()


def test_deleted_experiment_is_said_with_what_to_do(clone: Clone) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{clone.path}/mlflow.db")
    experiment = client.get_experiment_by_name(store.EXPERIMENT)
    assert experiment
    client.delete_experiment(experiment.experiment_id)
    result = clone.run(*PUBLISH, check=False)
    assert result.returncode == 1
    restore = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
    assert result.stdout.count("\n") == 1
    assert f"`{restore}`" in result.stdout
    clone.run(*restore.split(), MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert "MLflow: refreshed run" in clone.run(*PUBLISH).stdout


def test_database_of_another_mlflow_is_named_with_the_remedy(clone: Clone) -> None:
    """MLflow brings most of them up to date by itself, and refuses the others."""
    path = clone.path / "mlflow.db"
    with closing(sqlite3.connect(path)) as db, db:
        (present,) = db.execute("SELECT version_num FROM alembic_version").fetchone()
        db.execute("UPDATE alembic_version SET version_num = 'c48cb773bb87'")
    result = clone.run(*PUBLISH, check=False)
    assert result.returncode == 1
    backup, upgrade = re.findall("`(.*?)`", result.stdout)
    assert (backup, upgrade) == (f"cp {path} {path}.bak", f"mlflow db upgrade sqlite:///{path}")
    clone.run(*backup.split())
    with closing(sqlite3.connect(path)) as db, db:  # the tables themselves are of the present one
        db.execute("UPDATE alembic_version SET version_num = ?", (present,))
    clone.run(*upgrade.split())
    assert "MLflow: refreshed run" in clone.run(*PUBLISH).stdout


def test_tracking_can_be_turned_off(clone: Clone) -> None:
    for path in (clone.path / "mlflow.db", clone.path / "mlartifacts"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = clone.read()
    output = clone.run("dvc", "repro", "--force", "plot", "-s", PIPELINE_MLFLOW="off").stdout
    assert "MLflow is off" in output
    assert clone.read() == before
    assert not (clone.path / "mlflow.db").exists()


def test_moved_copy_takes_its_store_along_and_leaves_the_original_alone(
    reproduced: Clone, clone: Clone
) -> None:
    (before,) = runs_of(clone)
    artifacts = artifacts_of(before)
    moved = Clone(clone.path.rename(clone.path.parent / "with space & ü"))
    assert "MLflow: refreshed run" in moved.run(*PUBLISH).stdout
    (after,) = runs_of(moved)
    assert after.info.run_id == before.info.run_id
    assert artifacts_of(after) == artifacts
    uri = f"sqlite:///{moved.path}/mlflow.db"
    folder = moved.path.parent / "downloaded"
    folder.mkdir()
    client = mlflow.MlflowClient(uri)
    loss = client.download_artifacts(after.info.run_id, "figures/loss.png", str(folder))
    assert Path(loss).read_bytes() == artifacts["figures/loss.png"]
    assert model_folder(moved, after).is_relative_to(moved.path)
    assert (model_folder(moved, after) / "data/model.keras").exists()

    moved.edit_params({"evaluate.confidence": 0.8})
    moved.run("dvc", "repro")
    assert artifacts_of(run_named(moved, "confidence=0.8")).keys() == artifacts.keys()
    assert not clone.path.exists()
    (original,) = runs_of(reproduced)
    assert str(moved.path) not in original.info.artifact_uri
    for run in runs_of(moved):
        assert run.info.artifact_uri.startswith(moved.path.as_uri())


def test_backup_of_one_laptop_brings_runs_and_models_back(clone: Clone) -> None:
    (before,) = runs_of(clone)
    artifacts, folder = artifacts_of(before), model_folder(clone, before)
    model = md5(folder / "data/model.keras")
    backup, restore = (commands_in("mlflow.md", start) for start in ("python -c", "mv "))

    clone.run("sh", "-ec", backup)
    clone.run(*PUBLISH, MLFLOW_EXPERIMENT_NAME="made later")
    (clone.path / "mlflow.db").write_bytes(b"damaged")
    shutil.rmtree(clone.path / "mlartifacts")
    clone.run("sh", "-ec", restore)

    (after,) = runs_of(clone)
    assert after.data.to_dictionary() == before.data.to_dictionary()
    assert artifacts_of(after) == artifacts
    assert md5(folder / "data/model.keras") == model
    assert names_in(f"sqlite:///{clone.path}/mlflow.db", "made later") == []
    assert "MLflow: refreshed run" in clone.run(*PUBLISH).stdout
    assert clone.run("git", "status", "--short").stdout == ""
