"""The commands that people type every day, on the real pipeline."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo

from benchmarks.browser import BROWSER_OPTIONS
from pipeline.model.paths import MODEL
from tests.conftest import ROOT, Clone, make_once
from tests.ui import find_browser

PLOTS = {"Accuracy by epoch", "metrics/errors.csv", "metrics/history.csv"}


def pictures_in(clone: Clone) -> set[str]:
    """Return the paths of all pictures in the clone, most of which are not in Git."""
    drawn = (clone.path / "metrics").rglob("*.png")
    return {path.relative_to(clone.path).as_posix() for path in drawn}


@pytest.fixture(scope="session")
def experiment(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which the experiment `shorter` has been run; read only."""

    def build(path: Path) -> None:
        clone = reproduced.copy_to(path)
        clone.run("dvc", "exp", "run", "--name", "shorter", "--set-param", "train.epochs=1")

    return make_once(tmp_path_factory, "experiment", build)


def test_params_diff_shows_what_was_edited(experiment: Clone) -> None:
    diff = json.loads(experiment.run("dvc", "params", "diff", "--json").stdout)
    assert diff == {"params.yaml": {"train.epochs": {"old": 2, "new": 1, "diff": -1}}}


def test_metrics_show_and_diff_agree_with_the_files(experiment: Clone) -> None:
    def read(command: str) -> dict[str, Any]:
        # Before that, DVC says that there is no metrics/seeds.json yet.
        *_, values = experiment.run("dvc", "metrics", command, "--json").stdout.splitlines()
        read: dict[str, Any] = json.loads(values)
        return read

    shown = read("show")
    files = shown[""]["data"]
    written = json.loads((experiment.path / "metrics/evaluation.json").read_text())
    # Some classes are never predicted; that they have no precision is left out.
    precision = {name: one for name, one in written["precision"].items() if one is not None}
    assert files["metrics/evaluation.json"]["data"] == written | {"precision": precision}
    assert files["metrics/dataset.json"]["data"]["test_images_also_in"] == {"train": 0, "val": 0}

    diff = read("diff")
    committed = json.loads(experiment.run("git", "show", "HEAD:metrics/evaluation.json").stdout)
    loss = diff["metrics/evaluation.json"]["loss"]
    assert (loss["old"], loss["new"]) == (committed["loss"], written["loss"])
    assert "samples" not in diff["metrics/evaluation.json"]


def test_experiments_can_be_compared(experiment: Clone) -> None:
    table = experiment.run("dvc", "exp", "show", "--csv").stdout
    header, *rows = table.splitlines()
    assert {"train.epochs", "accuracy", "recall.9"} <= set(header.split(","))
    assert any("shorter" in row for row in rows)
    diff = json.loads(experiment.run("dvc", "exp", "diff", "--json").stdout)
    assert diff["params"]["params.yaml"]["train.epochs"]["new"] == 1


def test_dag_goes_from_prepare_to_plot(reproduced: Clone) -> None:
    dot = reproduced.run("dvc", "dag", "--dot").stdout
    edges = {line.strip(' ;"').replace('"', "") for line in dot.splitlines() if "->" in line}
    assert edges == {
        "prepare -> train",
        "prepare -> evaluate",
        "prepare -> plot",
        "train -> evaluate",
        "train -> plot",
        "evaluate -> plot",
    }


def test_model_is_a_declared_artifact(reproduced: Clone) -> None:
    shown = reproduced.run("dvc", "ls", ".", "models", "--dvc-only").stdout.split()
    assert shown == ["model.keras"]
    with Repo(str(reproduced.path)) as repo:
        (artifact,) = repo.artifacts.read()["dvc.yaml"].values()
    assert (artifact.path, artifact.type) == (MODEL.as_posix(), "model")


def test_plots_show_curves_confusion_matrix_and_figures(experiment: Clone) -> None:
    plots = json.loads(experiment.run("dvc", "plots", "show", "--json").stdout)["data"]
    assert set(plots) == PLOTS | pictures_in(experiment)
    for name in PLOTS:
        assert plots[name][0]["content"]["data"]["values"]


def test_plots_page_is_drawn_by_a_browser_without_network(
    reproduced: Clone, tmp_path: Path
) -> None:
    template, page = tmp_path / "page.html", tmp_path / "page"
    reproduced.run("python", "-m", "pipeline.plots_page", str(template))
    reproduced.run("dvc", "plots", "show", "--html-template", str(template), "--out", str(page))
    dom = reproduced.run(
        find_browser(),
        *("--headless", *BROWSER_OPTIONS),
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=10000",
        "--dump-dom",
        (page / "index.html").as_uri(),
    ).stdout
    assert dom.count('class="marks"') == len(PLOTS)
    assert dom.count('<img src="static/') == len(pictures_in(reproduced))


def test_nothing_reports_usage_or_looks_for_updates(reproduced: Clone) -> None:
    config = reproduced.run("dvc", "config", "--list", "--project").stdout.split()
    assert {"core.analytics=false", "core.check_update=false"} <= set(config)
    code = "import pipeline, os; print(os.environ['MLFLOW_DISABLE_TELEMETRY'])"
    assert reproduced.run("python", "-c", code).stdout.strip() == "true"


@pytest.mark.untracked
def test_progress_is_a_line_per_epoch(clone: Clone) -> None:
    lines = clone.run("dvc", "repro", "--force", "--single-item", "train").stdout.splitlines()
    assert [line.split(":")[0] for line in lines if "Epoch" in line] == ["Epoch 1/2", "Epoch 2/2"]


@pytest.mark.untracked
def test_terminal_also_shows_how_far_each_epoch_is(clone: Clone) -> None:
    command = "stty rows 24 cols 80; dvc repro --force --single-item train"
    shown = clone.run("python", "-c", f"import pty; pty.spawn(['sh', '-c', '{command}'])").stdout
    for name in ("Epoch 1", "Epoch 2", "Validation"):
        assert re.search(rf"^{name}: +0%.*\?batch/s\]$", shown, re.MULTILINE)
    # No bar is left in the lines that stay.
    assert len(re.findall("^Epoch [12]/2: loss", shown, re.MULTILINE)) == 2


def test_locks_pin_every_package_by_hash_and_name_no_index() -> None:
    locks = list((ROOT / "requirements").glob("*.txt"))
    assert ROOT / "requirements/main.txt" in locks
    for lock in locks:
        lines = lock.read_text().splitlines()
        entries = [line for line in lines if line and not line.startswith((" ", "#"))]
        assert entries
        assert all("==" in entry and entry.endswith("\\") for entry in entries)
        assert not any("://" in line or line.startswith("--index") for line in lines)
