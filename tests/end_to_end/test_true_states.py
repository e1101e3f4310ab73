"""DVC can be talked into states that no pipeline has made: they get no run, and count nowhere."""

from collections.abc import Callable

import mlflow
import pytest

from tests.conftest import Clone
from tests.mlflow_store import runs_of


def freeze(clone: Clone) -> str:
    clone.run("dvc", "freeze", "train")
    clone.edit_params({"train.epochs": 3})
    return clone.run("dvc", "repro").stdout


def run_downstream(clone: Clone) -> str:
    clone.edit_params({"train.epochs": 3})
    return clone.run("dvc", "repro", "--downstream", "evaluate").stdout


def run_one(clone: Clone) -> str:
    with (clone.path / "pipeline/training/epoch_loop.py").open("a") as module:
        module.write("# Another one.\n")
    clone.edit_params({"evaluate.confidence": 0.9})
    clone.run("dvc", "repro", "--single-item", "evaluate")
    return clone.run("dvc", "repro", "--single-item", "plot").stdout


def note(clone: Clone) -> str:
    clone.edit_params({"train.epochs": 3})
    clone.run("dvc", "commit", "--force")
    return clone.run("python", "-m", "pipeline.publish", check=False).stdout


@pytest.mark.parametrize(
    ("make", "told", "reason"),
    [
        (freeze, "stage train is frozen: `dvc unfreeze train`", "stage train is frozen"),
        (run_downstream, "train.epochs is 3, but 2 in dvc.lock", "train.epochs is 3, but 2"),
        (run_one, "pipeline/training is not what dvc.lock has", "pipeline/training is not what"),
        (note, "params and outputs do not belong together", "that no `dvc repro` has made so"),
    ],
)
def test_state_that_was_never_made_has_no_run_no_clean_report_and_no_champion(
    clone: Clone, make: Callable[[Clone], str], told: str, reason: str
) -> None:
    before = [run.info.run_id for run in runs_of(clone)]
    assert told in make(clone)
    assert [run.info.run_id for run in runs_of(clone)] == before
    clone.commit("Never made")

    report = clone.run(
        *("python", "-m", "pipeline.report", "HEAD~", "--fail-on", "stale"), check=False
    )
    assert report.returncode == 1
    assert reason in report.stdout
    assert clone.run("python", "-m", "pipeline.promote", check=False).returncode == 1
    client = mlflow.MlflowClient(f"sqlite:///{clone.path}/mlflow.db")
    assert client.search_registered_models() == []
    assert clone.run("python", "-m", "pipeline.seeds", "--seeds", "2", check=False).returncode == 1

    # A run that there is already, as an earlier version made it, is marked; true ones are not.
    (true_run,) = runs_of(clone)
    state_id = (clone.path / "data/state.txt").read_text().strip()
    forged = None
    if make is not note:  # whose outputs are those of the true state
        tags = {"state": state_id}
        forged = client.create_run(true_run.info.experiment_id, tags=tags).info.run_id
    output = clone.run("python", "-m", "pipeline.publish", "--all-commits").stdout
    assert "holds no state: not a true state: " in output
    assert reason in output
    marked = {run.info.run_id for run in runs_of(clone) if "false_state" in run.data.tags}
    assert marked == ({forged} if forged else set())


def test_state_that_was_mended_is_true_again(clone: Clone) -> None:
    freeze(clone)
    clone.run("dvc", "unfreeze", "train")
    clone.run("dvc", "repro")
    assert len(runs_of(clone)) == 2
    clone.commit("Three epochs")
    assert (
        clone.run("python", "-m", "pipeline.report", "HEAD~", "--fail-on", "stale").returncode == 0
    )
