"""Each state of the pipeline has one complete run in MLflow, however it came about."""

import os
import time
from pathlib import Path

import pytest
from mlflow.entities import Run

from tests.conftest import Clone
from tests.mlflow_store import (
    EPOCH_METRICS,
    artifacts_of,
    epochs_of,
    model_of,
    run_named,
    runs_of,
    state_of,
)


def assert_complete(clone: Clone, run: Run) -> None:
    assert run.info.status == "FINISHED"
    assert "incomplete" not in run.data.tags
    assert run.data.metrics["test_accuracy"] > 0
    for name in EPOCH_METRICS:
        assert list(epochs_of(clone, run, name)) == [1, 2]
    assert run.inputs
    assert len(run.inputs.dataset_inputs) == 3
    assert model_of(run)


def test_fresh_clone_has_one_run_named_after_its_commit(reproduced: Clone, tmp_path: Path) -> None:
    fresh = Clone(tmp_path / "repository")
    reproduced.run("git", "clone", "--quiet", str(reproduced.path), str(fresh.path))
    fresh.run("dvc", "repro")
    (run,) = runs_of(fresh)
    assert_complete(fresh, run)
    head = fresh.run("git", "rev-parse", "HEAD").stdout.strip()
    assert run.info.run_name == f"main {head[:7]}"
    assert run.data.tags["mlflow.source.git.commit"] == head
    assert run.data.tags["uncommitted"] == "false"
    assert run.data.tags["state"] == state_of(reproduced)
    assert run.info.end_time - run.info.start_time >= 1000 * run.data.metrics["training_seconds"]


def test_nothing_to_do_adds_nothing(clone: Clone) -> None:
    before = [run.to_dictionary() for run in runs_of(clone)]
    clone.run("dvc", "repro")
    assert [run.to_dictionary() for run in runs_of(clone)] == before


def test_code_that_changes_no_output_leaves_the_one_run(clone: Clone) -> None:
    (before,) = runs_of(clone)
    with (clone.path / "pipeline/train.py").open("a") as file:
        file.write("# a comment\n")
    output = clone.run("dvc", "repro").stdout
    assert "> python -m pipeline.train" in output
    assert "> python -m pipeline.publish --after pipeline.plot" not in output
    assert f"MLflow: reproduced run {before.info.run_name}" in output
    (after,) = runs_of(clone)
    assert after.info.run_id == before.info.run_id


def test_param_that_changes_no_output_is_a_state(clone: Clone) -> None:
    (before,) = runs_of(clone)
    clone.edit_params({"train.early_stopping_patience": 100})
    clone.run("dvc", "repro")
    after = run_named(clone, "early_stopping_patience=100")
    assert len(runs_of(clone)) == 2
    assert_complete(clone, after)
    assert after.data.tags["state"] == state_of(clone)
    assert after.data.metrics["training_seconds"] > 0
    assert model_of(after) == model_of(before)


def test_evaluation_alone_makes_a_complete_run_with_the_same_model_which_is_found_again(
    clone: Clone,
) -> None:
    (first,) = runs_of(clone)
    head = clone.run("git", "rev-parse", "HEAD").stdout.strip()
    clone.edit_params({"evaluate.confidence": 0.99})
    output = clone.run("dvc", "repro").stdout
    assert "> python -m pipeline.train" not in output
    before = run_named(clone, "confidence=0.99")
    assert len(runs_of(clone)) == 2
    assert_complete(clone, before)
    for name in EPOCH_METRICS:
        assert epochs_of(clone, before, name) == epochs_of(clone, first, name)
    assert model_of(before) == model_of(first)
    assert before.data.metrics["test_accuracy_low"] < first.data.metrics["test_accuracy_low"]
    assert before.data.tags["uncommitted"] == "true"
    assert before.data.tags["mlflow.source.git.commit"] == head

    # There and back again adds nothing.
    clone.run("git", "checkout", "params.yaml")
    assert "> python" not in clone.run("dvc", "repro").stdout
    assert state_of(clone) == first.data.tags["state"]
    clone.edit_params({"evaluate.confidence": 0.99})
    assert "> python" not in clone.run("dvc", "repro").stdout
    assert state_of(clone) == before.data.tags["state"]
    assert len(runs_of(clone)) == 2

    clone.commit("Raise the confidence")
    clone.run("python", "-m", "pipeline.publish")
    after = run_named(clone, "confidence=0.99")
    assert after.info.run_id == before.info.run_id
    assert len(runs_of(clone)) == 2
    assert after.data.tags["uncommitted"] == "false"
    committed = clone.run("git", "rev-parse", "HEAD").stdout.strip()
    assert after.data.tags["mlflow.source.git.commit"] == committed
    assert after.data.tags["mlflow.source.git.branch"] == "main"


NEW_FIGURE = """

@styled
def learning_speed(history: pd.DataFrame) -> Figure:
    \"\"\"Draw how much the training loss falls from epoch to epoch.\"\"\"
    figure = new_figure(4.4, "Learning speed", "Fall of the training loss")
    add_axes(figure, 4.4 - TOP - BOTTOM).plot(history["epoch"], -history["loss"].diff())
    return figure
"""
REMOVED = ("loss", "filters")  # the entry of each is one line
ENTRY = '    "learning_speed": lambda results: curves.learning_speed(results.history),\n'


def change_figures(clone: Clone) -> None:
    """Restyle all, add one, and remove one that is in Git and one that is not."""
    figures = clone.path / "pipeline/figures"
    style = (figures / "figure_style.py").read_text()
    restyled = style.replace("DPI = ", "DPI = 20 + ")
    assert restyled != style
    (figures / "figure_style.py").write_text(restyled)
    with (figures / "curves.py").open("a") as module:
        module.write(NEW_FIGURE)
    lines = (figures / "catalogue.py").read_text().splitlines(keepends=True)
    entries = {name: next(line for line in lines if f'"{name}": ' in line) for name in REMOVED}
    lines[lines.index(entries["loss"])] = ENTRY
    lines.remove(entries["filters"])
    (figures / "catalogue.py").write_text("".join(lines))


def pictures_of(run: Run) -> dict[str, bytes]:
    folders = ("figures/", "network/")
    return {
        path: content for path, content in artifacts_of(run).items() if path.startswith(folders)
    }


def test_figures_are_those_that_the_code_draws_now(clone: Clone) -> None:
    (before,) = runs_of(clone)
    had = pictures_of(before)
    change_figures(clone)

    clone.run("dvc", "repro")

    (after,) = runs_of(clone)
    assert after.info.run_id == before.info.run_id
    metrics = clone.path / "metrics"
    has = {str(p.relative_to(metrics)): p.read_bytes() for p in metrics.rglob("*.png")}
    assert has.keys() - had.keys() == {"figures/learning_speed.png"}
    assert had.keys() - has.keys() == {"figures/loss.png", "network/filters.png"}
    assert all(has[name] != had[name] for name in has.keys() & had.keys())
    assert pictures_of(after) == has

    clone.commit("Change the figures")
    clone.env |= {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "a/b"}
    report = clone.run("python", "-m", "pipeline.report", "HEAD~").stdout
    assert report.count("<img ") == 2 * len(has.keys() & {f for f in had if f[0] == "f"}) + 1
    assert "| no `learning_speed.png` | <img " in report
    assert "loss.png" not in report
    assert "stale" not in report


def test_name_without_changed_params_is_the_commit(clone: Clone) -> None:
    short = clone.run("git", "rev-parse", "HEAD").stdout[:7]
    (run,) = runs_of(clone)
    assert run.info.run_name.endswith("+")  # reproduced, and not yet committed
    clone.run("python", "-m", "pipeline.publish")
    assert [run.info.run_name for run in runs_of(clone)] == [f"main {short}"]


def test_experiments_have_one_run_each_of_their_name(clone: Clone) -> None:
    clone.run("dvc", "exp", "run", "--name", "here", "--set-param", "evaluate.confidence=0.9")
    clone.run("dvc", "exp", "run", "--temp", "--name", "apart", "-S", "evaluate.confidence=0.8")
    for name in ("here", "apart"):
        run = run_named(clone, name)
        assert_complete(clone, run)
        assert run.data.tags["dvc_experiment"] == name
        assert run.data.tags["mlflow.source.git.branch"] == "main"
        assert run.data.tags["uncommitted"] == "true"
    assert len(runs_of(clone)) == 3

    report = clone.run("python", "-m", "pipeline.report", "here", "--head", "apart").stdout
    assert "From here (" in report
    assert " to apart (" in report
    assert "| `evaluate.confidence` | `0.9` | `0.8` |" in report

    clone.run("dvc", "exp", "apply", "apart")
    clone.run("dvc", "repro")
    clone.commit("Take the experiment")
    clone.run("dvc", "exp", "branch", "here", "here-branch")
    clone.run("python", "-m", "pipeline.publish", "--all-commits")
    assert len(runs_of(clone)) == 3
    taken = run_named(clone, "apart").data.tags
    assert taken["mlflow.source.git.commit"] == clone.run("git", "rev-parse", "HEAD").stdout.strip()
    assert taken["uncommitted"] == "false"
    assert run_named(clone, "here").data.tags["mlflow.source.git.branch"] == "here-branch"


def finish_queue(clone: Clone, *names: str) -> None:
    """Wait until these experiments are made."""
    deadline = time.monotonic() + 600
    # Not until none is `Running`: while one changes its state, DVC lists it nowhere.
    while (status := clone.run("dvc", "queue", "status").stdout).count("Success") < len(names):
        if "Failed" in status or time.monotonic() > deadline:
            logs = [clone.run("dvc", "queue", "logs", name, check=False).stdout for name in names]
            pytest.fail("\n".join([status, *logs]))
        time.sleep(1)


def test_queued_experiments_share_the_creation_of_the_store(clone: Clone) -> None:
    for name in ("mlflow.db", "mlartifacts"):
        clone.run("rm", "-r", name)
    for seed in (1, 2):
        clone.run(
            "dvc", "exp", "run", "--queue", "--name", f"seed-{seed}", "-S", f"train.seed={seed}"
        )
    clone.run("dvc", "queue", "start", "--jobs", "2")
    finish_queue(clone, "seed-1", "seed-2")
    assert sorted(run.info.run_name for run in runs_of(clone)) == ["seed-1", "seed-2"]
    for run in runs_of(clone):
        assert_complete(clone, run)


def test_what_does_not_belong_together_is_not_published(clone: Clone) -> None:
    before = [run.to_dictionary() for run in runs_of(clone)]
    clone.edit_params({"train.epochs": 7})
    result = clone.run("python", "-m", "pipeline.publish", check=False)
    assert result.returncode == 1
    assert result.stdout.startswith("params and outputs do not belong together; `dvc repro`")
    assert [run.data.params for run in runs_of(clone)] == [before[0]["data"]["params"]]


def test_names_in_another_encoding_and_a_bad_commit_stop_no_training(clone: Clone) -> None:
    params = clone.path / "params.yaml"
    text = params.read_text()
    params.write_text(f"{text}born: 2020-13-45\n")  # of which Python knows no date
    clone.commit("Break the params")
    params.write_text(text)
    clone.env["LC_ALL"] = "C"
    author = os.fsdecode(b"J\xfcrgen")
    output = clone.run("dvc", "repro", "--force", "--single-item", "train", GIT_AUTHOR_NAME=author)
    assert "MLflow: reproduced run" in output.stdout
