"""The real Fashion-MNIST, from Debian's package, through the real pipeline at a small count."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import fetch
from tests.conftest import Clone, make_clone, make_once

NAMES = [
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
]
pytestmark = pytest.mark.skipif(
    not fetch.DEBIAN.is_dir() and "CI" not in os.environ, reason=f"there is no {fetch.PACKAGE}"
)


@pytest.fixture
def fashion(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone with the fetched data after `dvc repro`, committed: read only."""

    def build(path: Path) -> None:
        clone = make_clone(path)
        clone.env["PIPELINE_MLFLOW"] = "off"
        clone.run("python", "-m", "pipeline.fetch", "fashion-mnist")
        clone.edit_params({"prepare.dataset": "fashion-mnist"})
        clone.run("dvc", "repro")
        clone.commit("Clothes")

    return make_once(tmp_path_factory, "fashion", build)


def test_clothes_are_called_by_their_names(fashion: Clone) -> None:
    errors = pd.read_csv(fashion.path / "metrics/errors.csv")
    evaluation = json.loads((fashion.path / "metrics/evaluation.json").read_text())

    assert {*errors["label"]} <= {*NAMES}
    assert {"T-shirt/top", "Shirt"} <= {*errors["label"]}
    assert list(evaluation["recall"]) == NAMES


def test_counts_are_those_of_the_first_labels(fashion: Clone) -> None:
    # The first ten labels, as often shown: `train_labels[:10]` of Keras's data set.
    labels = np.load(fashion.path / "data/prepared/train_labels.npy")

    assert labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]


def test_data_that_is_fetched_disturbs_nobody(clone: Clone) -> None:
    clone.run("python", "-m", "pipeline.fetch", "fashion-mnist")

    assert clone.run("git", "status", "--porcelain").stdout == ""
    assert clone.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"


def test_data_that_is_not_fetched_is_told(clone: Clone) -> None:
    clone.edit_params({"prepare.dataset": "fashion-mnist"})

    result = clone.run("dvc", "repro", check=False)

    assert result.returncode
    assert "data/raw/fashion-mnist: has no data set; `make fashion-mnist` gets it" in result.stdout


def test_state_is_not_stale_where_the_data_is_not_fetched(fashion: Clone, tmp_path: Path) -> None:
    clone = fashion.copy_to(tmp_path / "repository")
    for path in (clone.path / "data/raw/fashion-mnist").glob("*.gz"):
        path.unlink()
    clone.edit_params({"evaluate.confidence": 0.9})
    clone.commit("Another interval")

    report = clone.run("python", "-m", "pipeline.report", "HEAD~", "--head", "HEAD~").stdout
    changed = clone.run("python", "-m", "pipeline.report", "HEAD~").stdout

    assert "stale" not in report
    assert "data/raw" not in changed
    assert "evaluate.confidence is 0.9" in changed


def test_seeds_train_on_data_that_is_not_in_git(fashion: Clone, tmp_path: Path) -> None:
    clone = fashion.copy_to(tmp_path / "repository")
    clone.env["PIPELINE_MLFLOW"] = "off"

    output = clone.run("python", "-m", "pipeline.seeds", "--seeds", "2").stdout

    assert "seed 1: test accuracy" in output
    assert json.loads((clone.path / "metrics/seeds.json").read_text())["seeds"] == 2
