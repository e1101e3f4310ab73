"""A lost MLflow store is rebuilt from Git and DVC's cache."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run

from tests.conftest import Clone
from tests.end_to_end.conftest import STATES
from tests.mlflow_store import (
    EPOCH_METRICS,
    FACTS,
    artifacts_of,
    epochs_of,
    lose_store,
    md5,
    model_folder,
    model_of,
    run_named,
    runs_of,
)

PUBLISH_ALL = ("python", "-m", "pipeline.publish", "--all-commits")


def content_of(clone: Clone, run: Run) -> dict[str, Any]:
    """Return what a run says of its state: all but what only the run itself knows."""
    assert run.inputs
    return {
        "params": run.data.params,
        "metrics": {k: v for k, v in run.data.metrics.items() if k not in FACTS},
        "epochs": {name: epochs_of(clone, run, name) for name in EPOCH_METRICS},
        "artifacts": artifacts_of(run),
        "datasets": sorted((d.dataset.name, d.dataset.digest) for d in run.inputs.dataset_inputs),
        "model": md5(model_folder(clone, run) / "data/model.keras"),
        "state": run.data.tags["state"],
    }


Contents = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def before(five_states: Clone) -> Contents:
    """The content of the runs of all states, by name."""
    return {run.info.run_name: content_of(five_states, run) for run in runs_of(five_states)}


@pytest.fixture
def lost(five_states: Clone, tmp_path: Path) -> Clone:
    """A clone of all states, without a store."""
    clone = five_states.copy_to(tmp_path / "repository")
    lose_store(clone)
    return clone


def test_every_committed_state_has_its_run_again(lost: Clone, before: Contents) -> None:
    clone = lost
    assert before.keys() >= STATES.keys()
    assert len(before) == 5
    clone.run(*PUBLISH_ALL)
    runs = runs_of(clone)
    assert len(runs) == 5
    states = {run.data.tags["state"]: content_of(clone, run) for run in runs}
    assert states == {content["state"]: content for content in before.values()}
    for name, (branch, _) in STATES.items():
        run = run_named(clone, name)
        found = clone.run("git", "log", branch, f"--grep=^{name}$", "--format=%H %ct").stdout
        commit, seconds = found.split()
        assert run.info.status == "FINISHED"
        assert run.info.start_time == 1000 * int(seconds)
        assert run.data.tags["mlflow.source.git.commit"] == commit
        assert run.data.tags["mlflow.source.git.branch"] == branch
        assert run.data.tags["uncommitted"] == "false"
        assert run.data.tags["mlflow.user"] == "Test"

    again = [run.to_dictionary() for run in runs]
    clone.run(*PUBLISH_ALL)
    assert [run.to_dictionary() for run in runs_of(clone)] == again


def test_run_goes_without_pictures_that_the_cache_has_lost(lost: Clone, before: Contents) -> None:
    clone, whole = lost, before["dropout=0.3"]
    digest = whole["artifacts"]["network/filters.png"]
    digest = hashlib.md5(digest, usedforsecurity=False).hexdigest()
    (clone.path / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).unlink()
    clone.run(*PUBLISH_ALL)
    after = content_of(clone, run_named(clone, "dropout=0.3"))
    kept = {k: v for k, v in whole["artifacts"].items() if not k.startswith("network/")}
    assert after == whole | {"artifacts": kept}


def test_missing_model_is_said_and_attached_later(
    lost: Clone, before: Contents, tmp_path: Path
) -> None:
    clone, digest = lost, before["dropout=0.3"]["model"]
    in_cache = clone.path / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    in_cache.rename(tmp_path / "model")
    output = clone.run(*PUBLISH_ALL).stdout
    without = [line for line in output.splitlines() if "without its model" in line]
    assert [line.partition("run ")[2].partition(" ")[0] for line in without] == [
        "dropout=0.3",
        "confidence=0.8",
    ]
    run = run_named(clone, "dropout=0.3")
    assert not (run.outputs and run.outputs.model_outputs)
    assert run.data.metrics["test_accuracy"] > 0
    assert model_of(run_named(clone, "learning_rate=0.01"))

    (tmp_path / "model").rename(in_cache)
    assert "without its model" not in clone.run(*PUBLISH_ALL).stdout
    for name in ("dropout=0.3", "confidence=0.8"):
        assert content_of(clone, run_named(clone, name))["model"] == digest
    assert len(runs_of(clone)) == 5


def test_commit_whose_files_do_not_belong_together_is_said_and_left_out(clone: Clone) -> None:
    clone.edit_params({"train.epochs": 3})
    clone.commit("Forget to reproduce")
    stale = clone.run("git", "rev-parse", "--short=7", "HEAD").stdout.strip()
    clone.run("git", "checkout", "--quiet", "HEAD~", "params.yaml")
    evaluation = clone.path / "metrics/evaluation.json"
    evaluation.write_text(evaluation.read_text().replace('"accuracy": 0', '"accuracy": 1'))
    clone.commit("Improve the accuracy by hand")
    edited = clone.run("git", "rev-parse", "--short=7", "HEAD").stdout.strip()
    output = clone.run(*PUBLISH_ALL).stdout
    no_state = "holds no state: not a true state:"
    assert f"commit {stale} {no_state} params.yaml: train.epochs is 3, but 2 in dvc.lock" in output
    assert f"commit {edited} {no_state} metrics/evaluation.json is not what dvc.lock has" in output
    assert len(runs_of(clone)) == 1


def test_commit_without_all_its_metrics_does_not_end_the_rebuilding(clone: Clone) -> None:
    clone.run("git", "rm", "--quiet", "metrics/dataset.json")
    clone.commit("Remove a file")
    partial = clone.run("git", "rev-parse", "--short=7", "HEAD").stdout.strip()
    lose_store(clone)
    output = clone.run(*PUBLISH_ALL).stdout
    assert f"commit {partial} holds no state: metrics/dataset.json is missing" in output
    (run,) = runs_of(clone)
    assert run.info.status == "FINISHED"


def test_damaged_model_in_the_cache_is_not_taken(clone: Clone) -> None:
    lose_store(clone)
    digest = md5(clone.path / "models/model.keras")
    in_cache = clone.path / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    in_cache.chmod(0o644)
    in_cache.write_bytes(b"damaged")
    assert "without its model" in clone.run(*PUBLISH_ALL).stdout


def test_experiments_are_rebuilt_with_their_names(clone: Clone) -> None:
    clone.run("dvc", "exp", "run", "--name", "lower", "-S", "evaluate.confidence=0.8")
    baseline = clone.run("git", "rev-parse", "HEAD").stdout.strip()
    before = content_of(clone, run_named(clone, "lower"))
    lose_store(clone)
    clone.run(*PUBLISH_ALL)
    assert len(runs_of(clone)) == 2
    run = run_named(clone, "lower")
    assert content_of(clone, run) == before
    assert run.data.tags["dvc_experiment"] == "lower"
    assert run.data.tags["mlflow.source.git.commit"] == baseline
    assert run.data.tags["uncommitted"] == "true"

    clone.run("dvc", "exp", "apply", "lower")
    clone.commit("Keep the experiment")
    lose_store(clone)
    clone.run(*PUBLISH_ALL)
    kept = run_named(clone, "lower").data.tags
    assert kept["mlflow.source.git.commit"] == clone.run("git", "rev-parse", "HEAD").stdout.strip()
    assert kept["uncommitted"] == "false"
    assert len(runs_of(clone)) == 2
