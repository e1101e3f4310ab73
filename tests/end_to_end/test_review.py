"""A base and four branches that the real pipeline has made, and what their reviewer is told."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Clone, make_clone, make_once

BASE = {
    "model.conv_blocks": [[8, 16]],
    "model.dense_units": [32],
    "train.learning_rate": 0.003,
    "train.epochs": 8,
}
BRANCHES: dict[str, dict[str, object]] = {
    "better": {"prepare.train_samples": 2000, "train.epochs": 5},
    "worse": {"train.learning_rate": 0.00001},
    "seed": {"train.seed": 1},  # which DVC has from the spread over seeds
}


@pytest.fixture(scope="session")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A base with three seeds, three branches and a stale one; all workers share it: read only."""
    return make_once(tmp_path_factory, "reviewed", build)


def build(path: Path) -> None:
    clone = make_clone(path)
    clone.env["PIPELINE_MLFLOW"] = "off"
    clone.edit_params(BASE)
    clone.run("dvc", "repro")
    clone.commit("Base")
    clone.run("python", "-m", "pipeline.seeds", "--seeds", "3")
    clone.commit("Measure the spread over seeds")
    for branch, params in BRANCHES.items():
        clone.run("git", "switch", "--quiet", "--create", branch, "main")
        clone.run("dvc", "checkout", "--quiet")
        clone.edit_params(params)
        clone.run("dvc", "repro")
        clone.commit(branch)
    clone.run("git", "switch", "--quiet", "--create", "stale", "main")
    clone.run("dvc", "checkout", "--quiet")
    clone.edit_params({"train.epochs": 9})
    clone.commit("Forget dvc repro")


def accuracy_of(clone: Clone, revision: str) -> float:
    text = clone.run("git", "show", f"{revision}:metrics/evaluation.json").stdout
    return float(json.loads(text)["accuracy"])


@pytest.mark.parametrize(
    ("branch", "verdicts", "code", "reason"),
    [
        ("better", {"A real improvement"}, 0, ""),
        ("worse", {"A real regression"}, 1, "regression: the test accuracy is lower"),
        (
            "seed",
            {
                "No difference on these images",
                "Not shown to matter: only the seed was changed (this model alone is better on "
                "these images)",
                "Not shown to matter: only the seed was changed (this model alone is worse on "
                "these images)",
            },
            0,
            "",
        ),
        (
            "stale",
            {"Stale: these are not the metrics of this state"},
            1,
            "stale: params.yaml: train.epochs is 9, but 8 in dvc.lock",
        ),
    ],
)
def test_each_branch_gets_its_verdict_and_exit_code(
    reviewed: Clone, branch: str, verdicts: set[str], code: int, reason: str
) -> None:
    gates = ["--fail-on", "regression", "--fail-on", "stale"]
    command = ["python", "-m", "pipeline.report", "main", "--head", branch, *gates]
    result = reviewed.run(*command, check=False)
    assert result.stdout.splitlines()[0].removeprefix("## ") in verdicts
    assert result.returncode == code, result.stdout
    assert reason in result.stdout  # which has stderr in it
    before, after = (accuracy_of(reviewed, revision) for revision in ("main", branch))
    assert f"**{before:.4f} → {after:.4f}**" in result.stdout
    for name, value in BRANCHES.get(branch, {"train.epochs": 9}).items():
        (row,) = (line for line in result.stdout.splitlines() if line.startswith(f"| `{name}`"))
        assert row.endswith(f" | `{value}` |")


def test_report_needs_neither_dvc_cache_nor_tensorflow_nor_mlflow(
    reviewed: Clone, tmp_path: Path
) -> None:
    """As in a fork: a fresh clone, in which these packages cannot be imported."""
    reviewed.run("git", "clone", "--quiet", "--branch", "better", ".", str(tmp_path / "fork"))
    blocked = tmp_path / "blocked"
    for package in ("tensorflow", "keras", "mlflow", "dvc"):
        (blocked / package).mkdir(parents=True)
        (blocked / package / "__init__.py").write_text(f"raise ImportError('{package}')\n")
    fork = Clone(tmp_path / "fork")
    text = fork.run(
        *("python", "-m", "pipeline.report", "--output", str(tmp_path / "out")),
        PYTHONPATH=str(blocked),
    ).stdout
    assert text.startswith("## A real improvement\n")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.md",
        "changed_images.png",
        "training_curves.png",
    }


def test_reader_who_has_seen_enough_is_no_error(clone: Clone) -> None:
    command = "python -m pipeline.report HEAD --output out | true"
    assert clone.run("sh", "-c", command).stdout == ""  # which has stderr in it
    assert (clone.path / "out/report.md").read_text().startswith("## ")


def test_runs_of_both_states_are_named_where_a_store_has_them(clone: Clone) -> None:
    text = clone.run("python", "-m", "pipeline.report", "HEAD").stdout
    assert "### MLflow runs" in text
    assert text.count("main ") >= 2
    shutil.move(clone.path / "mlflow.db", clone.path / "elsewhere.db")
    assert "MLflow" not in clone.run("python", "-m", "pipeline.report", "HEAD").stdout
    assert not (clone.path / "mlflow.db").exists()
    clone.env["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"  # where nothing listens
    text = clone.run("python", "-m", "pipeline.report", "HEAD").stdout
    last = text.splitlines()[-1]
    assert last.startswith("No links to MLflow's runs: ")
    assert "Connection refused" in last
