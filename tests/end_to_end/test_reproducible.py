"""Same inputs, same bytes: the real pipeline, run again here and elsewhere."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.figures import catalogue
from tests.conftest import Clone
from tests.mlflow_store import runs_of


def test_forced_reproduction_changes_no_byte_and_leaves_the_one_run(clone: Clone) -> None:
    before = clone.read()
    (run,) = runs_of(clone)
    output = clone.run("dvc", "repro", "--force").stdout
    assert clone.read() == before
    assert "dvc.lock" in before
    assert clone.run("git", "status", "--porcelain").stdout == ""
    assert f"MLflow: reproduced run {run.info.run_name}" in output
    (after,) = runs_of(clone)
    assert after.info.run_id == run.info.run_id


def test_another_place_and_environment_give_the_same_bytes(
    reproduced: Clone, tmp_path: Path
) -> None:
    folder = tmp_path / "mein Büro"
    reproduced.run("git", "clone", "--quiet", ".", str(folder))
    elsewhere = Clone(folder)
    shutil.rmtree(folder / "metrics")  # the figures are in Git, too: let nothing be left
    elsewhere.run(
        "dvc", "repro", "--force", PYTHONHASHSEED="1", TZ="Pacific/Kiritimati", LC_ALL="C"
    )
    assert elsewhere.read() == reproduced.read()


@pytest.mark.untracked
def test_seed_and_thread_count_each_give_another_model(clone: Clone) -> None:
    models = {"seed 0": (clone.path / "models/model.keras").read_bytes()}
    for name, changes in {
        "seed 1": {"train.seed": 1},
        "1 thread": {"train.seed": 0, "train.threads": 1},
    }.items():
        clone.edit_params(changes)
        clone.run("dvc", "repro", "train")
        models[name] = (clone.path / "models/model.keras").read_bytes()
    assert len(set(models.values())) == 3


@pytest.mark.untracked
def test_reverted_param_restores_outputs_without_running_anything(clone: Clone) -> None:
    before = clone.read()
    clone.edit_params({"train.epochs": 1})
    changed = clone.run("dvc", "repro").stdout
    assert "> python -m pipeline.train" in changed
    assert clone.read() != before
    clone.edit_params({"train.epochs": 2})
    reverted = clone.run("dvc", "repro").stdout
    assert "> python" not in reverted
    assert clone.read() == before


@pytest.mark.untracked
def test_more_test_images_do_not_retrain(clone: Clone) -> None:
    clone.edit_params({"prepare.test_samples": 310})
    output = clone.run("dvc", "repro").stdout
    assert "> python -m pipeline.train" not in output
    assert "> python -m pipeline.evaluate" in output
    evaluation = json.loads((clone.path / "metrics/evaluation.json").read_text())
    assert evaluation["samples"] == 310


@pytest.mark.untracked
def test_other_images_are_followed_without_training(clone: Clone) -> None:
    clone.edit_params({"evaluate.images": [299, 7]})
    output = clone.run("dvc", "repro").stdout
    assert "> python -m pipeline.train" not in output
    maps = (clone.path / "metrics/network/maps").iterdir()
    assert {path.name for path in maps} == {"image_00299.png", "image_00007.png"}

    clone.edit_params({"evaluate.images": [300]})
    result = clone.run("dvc", "repro", check=False)
    assert result.returncode != 0
    assert (
        "params.yaml: evaluate.images: there is no test image 300; "
        "with 300 test images, the last is 299"
    ) in result.stdout.splitlines()


def test_each_stage_writes_exactly_its_files(reproduced: Clone) -> None:
    clone = reproduced
    written = clone.run("git", "diff", "--name-only", "HEAD~", "HEAD").stdout.splitlines()
    ignored = clone.run("git", "status", "--porcelain", "--ignored", "--untracked-files=all")
    names = {*written, *(line[3:] for line in ignored.stdout.splitlines())}
    prepared = {
        f"data/prepared/{split}{kind}"
        for split in ("train", "val", "test")
        for kind in ("_images.npy", "_labels.npy", ".md5")
    }
    figures = {f"metrics/figures/{name}.png" for name in catalogue.IN_GIT}
    labels = np.load(clone.path / "data/prepared/test_labels.npy").tolist()
    followed = [f"maps/image_{labels.index(label):05}" for label in range(10)]
    pictures = {f"metrics/network/{name}.png" for name in (*catalogue.IN_CACHE, *followed)}
    expected = (
        prepared
        | figures
        | pictures
        | {
            "data/observations.npz",
            "data/prepared/classes.txt",
            "data/state.txt",
            "dvc.lock",
            "metrics/dataset.json",
            "metrics/errors.csv",
            "metrics/evaluation.json",
            "metrics/history.csv",
            "metrics/predictions.csv",
            "mlflow.db",
            "models/model.keras",
        }
    )
    apart = (".dvc/", "mlartifacts/")
    assert {
        name for name in names if not name.startswith(apart) and "__pycache__" not in name
    } == expected
