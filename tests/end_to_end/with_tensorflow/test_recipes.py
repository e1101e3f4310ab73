"""The recipes of CONTRIBUTING.md, followed to the letter in one clone with a history."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from textwrap import indent

from pipeline.core.package import PACKAGE
from tests.conftest import ROOT, Clone
from tests.mlflow_store import runs_of


def blocks_of(heading: str) -> list[str]:
    """Return the blocks of code in a section of the page, without their indent."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^( *)```(?:python|text|yaml)\n(.*?)^ *```$", section, re.M | re.S)
    return [re.sub(f"^{margin}", "", block, flags=re.M) for margin, block in found]


def insert(path: Path, before: str, text: str) -> None:
    content = path.read_text()
    assert content.count(before) == 1, before
    path.write_text(content.replace(before, f"{text}{before}"))


def add_stage(clone: Clone) -> None:
    module, entry, field = blocks_of("A stage")
    code = clone.path / PACKAGE
    (code / "robustness.py").write_text(module)
    insert(clone.path / "dvc.yaml", "  # It also names the state", entry)
    insert(clone.path / "pyproject.toml", "evaluate | plot | publish", "robustness | ")
    insert(code / "evaluation/params.py", "    images: Annotated", field)
    insert(code / "evaluation/params.py", "\nfrom pipeline.model.params", ", neutral")
    clone.edit_params({"evaluate.shift": 2})
    clone.run("git", "add", PACKAGE)


def add_metric(clone: Clone) -> None:
    function, row = blocks_of("A metric")
    scores = clone.path / "pipeline/evaluation/scores.py"
    insert(scores, "METRICS = (", f"{function}\n\n")
    insert(scores, ")\n\n\ndef score(", row)


def add_param(clone: Clone) -> None:
    field, use = (indent(block, "    ") for block in blocks_of("A param"))
    code = clone.path / PACKAGE / "training"
    insert(code / "params.py", "\n\nclass TrainingSections", field)
    insert(code / "optimization.py", "    return type(keras.optimizers", use)
    clone.edit_params({"train.gradient_clip": 1.0})


def add_optimizer(clone: Clone) -> None:
    insert(clone.path / PACKAGE / "training/params.py", '"sgd", "rmsprop"', '"nadam", ')
    clone.edit_params({"train.optimizer": "nadam"})


def add_figure(clone: Clone) -> None:
    function, entry = blocks_of("A figure")
    figures = clone.path / PACKAGE / "figures"
    with (figures / "curves.py").open("a") as module:
        module.write(f"\n\n{function}")
    insert(figures / "catalogue.py", '    "loss": lambda', indent(entry, "    "))


def touched(clone: Clone) -> set[str]:
    """Return the files that differ from the last commit, but outputs and what a command writes."""
    lines = clone.run("git", "status", "--porcelain", "--untracked-files").stdout.splitlines()
    written = ("docs/params.md", "dvc.lock", "metrics/")
    return {line[3:] for line in lines if not line[3:].startswith(written)}


def reproduce(clone: Clone) -> set[str]:
    """Reproduce and return which stages ran."""
    return set(re.findall(r"Running stage '(\w+)'", clone.run("dvc", "repro").stdout))


# What each touches, besides tests.
CHANGES: dict[Callable[[Clone], None], set[str]] = {
    add_metric: {"evaluation/scores.py"},
    add_figure: {"figures/curves.py", "figures/catalogue.py"},
    add_optimizer: {"training/params.py", "params.yaml"},  # the latter uses it
    add_param: {"training/params.py", "training/optimization.py", "params.yaml"},
}


def test_what_is_added_reaches_git_mlflow_and_report_and_leaves_the_past_its_runs(
    clone: Clone,
) -> None:
    (before,) = runs_of(clone)
    add_stage(clone)
    clone.run("python", "-m", "pipeline.check", "--fix", check=False)
    assert clone.run("python", "-m", "pipeline.check").stdout == ""
    assert touched(clone) == {
        *("dvc.yaml", "params.yaml", "pyproject.toml"),
        *("pipeline/robustness.py", "pipeline/evaluation/params.py"),
    }
    assert reproduce(clone) == {"evaluate", "robustness", "plot"}

    robust = json.loads((clone.path / "metrics/robustness.json").read_text())["accuracy"]
    (same,) = runs_of(clone)
    assert same.info.run_id == before.info.run_id
    assert same.data.metrics["robustness_accuracy"] == robust
    clone.commit("Add a stage")

    files: set[str] = set()
    for change, in_files in CHANGES.items():
        change(clone)
        files |= {f"{PACKAGE}/{name}" if name.endswith(".py") else name for name in in_files}
        assert touched(clone) == files
    clone.run("python", "-m", "pipeline.check", "--fix", check=False)
    assert clone.run("python", "-m", "pipeline.check").stdout == ""
    clone.run("lint-imports", "--no-cache")
    clone.run("mypy", "pipeline/robustness.py", *(name for name in files if name.endswith(".py")))
    clone.run("ruff", "check", PACKAGE)
    assert reproduce(clone) == {"train", "evaluate", "robustness", "plot"}
    (run,) = runs_of(clone)[:1]
    assert run.data.params["train.optimizer"] == "nadam"
    assert run.data.params["train.gradient_clip"] == "1.0"
    assert (clone.path / "metrics/figures/confidence_histogram.png").is_file()
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    assert (folder / "figures/confidence_histogram.png").is_file()
    robust_before = robust
    robust = json.loads((clone.path / "metrics/robustness.json").read_text())["accuracy"]
    found = json.loads((clone.path / "metrics/evaluation.json").read_text())
    assert found["accuracy"] <= found["top_2_accuracy_low"] < found["top_2_accuracy"] <= 1
    assert "top_2_accuracy" in clone.run("dvc", "metrics", "diff").stdout
    clone.commit("Add a metric, a figure, an optimizer and a param")
    clone.env |= {"GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "me/mine"}
    report = clone.run("python", "-m", "pipeline.report", "HEAD~2", "--fail-on", "stale").stdout
    rows = {line.split(" | ")[0]: line.split(" | ")[1:] for line in report.splitlines()}
    assert rows["| test top-2 accuracy"][0] == "missing"
    assert rows["| test top-2 accuracy"][1].startswith(f"{found['top_2_accuracy']:.4f} (")
    assert rows["| robustness accuracy"][:2] == ["missing", f"{robust:.4f}"]
    assert "no `confidence_histogram.png`" in report  # of the base, beside the new one
    assert rows["| `train.optimizer`"] == ["`adam`", "`nadam` |"]

    for path in clone.path.glob("mlflow.db*"):
        path.unlink()
    output = clone.run("python", "-m", "pipeline.publish", "--all-commits").stdout
    assert "holds no state" not in output
    new, old = sorted(runs_of(clone), key=lambda run: "test_top_2_accuracy" not in run.data.metrics)
    assert new.data.metrics["test_top_2_accuracy"] == found["top_2_accuracy"]
    for run, accuracy in ((new, robust), (old, robust_before)):
        assert run.info.status == "FINISHED"
        assert run.data.metrics["robustness_accuracy"] == accuracy
        folder = Path(run.info.artifact_uri.removeprefix("file://")) / "metrics"
        assert json.loads((folder / "robustness.json").read_text()) == {"accuracy": accuracy}
    assert old.data.tags["state"] == before.data.tags["state"]
