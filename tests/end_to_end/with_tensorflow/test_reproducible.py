"""Same inputs, same bytes: the real pipeline, run again here and elsewhere."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.figures import catalogue
from tests.conftest import Clone
from tests.mlflow_store import runs_of


def test_another_place_and_environment_give_the_same_bytes_and_leave_the_one_run(
    reproduced: Clone, tmp_path: Path
) -> None:
    elsewhere = reproduced.copy_to(tmp_path / "mein Büro")
    (run,) = runs_of(elsewhere)
    shutil.rmtree(elsewhere.path / "metrics")  # the figures are in Git, too: let nothing be left
    notebook = "module://matplotlib_inline.backend_inline"  # which Jupyter exports
    elsewhere.env |= {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}
    output = elsewhere.run("dvc", "repro", "--force", MPLBACKEND=notebook).stdout
    assert elsewhere.read() == reproduced.read()
    assert "dvc.lock" in reproduced.read()
    assert elsewhere.run("git", "status", "--porcelain").stdout == ""
    assert f"MLflow: reproduced run {run.info.run_name}" in output
    (after,) = runs_of(elsewhere)
    assert after.info.run_id == run.info.run_id


@pytest.mark.untracked
def test_each_edit_runs_what_it_is_about_and_its_reversal_nothing(clone: Clone) -> None:
    before = clone.read()
    clone.edit_params({"train.seed": 1})
    assert "> python -m pipeline.train" in clone.run("dvc", "repro").stdout
    seeded = clone.read()
    clone.edit_params({"train.seed": 0})
    assert "> python" not in clone.run("dvc", "repro").stdout
    assert clone.read() == before

    clone.edit_params({"train.threads": 1})
    clone.run("dvc", "repro", "train")
    models = [files["models/model.keras"] for files in (before, seeded, clone.read())]
    assert len(set(models)) == 3

    changes = {"train.threads": 2, "prepare.test_samples": 310, "evaluate.images": [309, 7]}
    clone.edit_params(changes)
    output = clone.run("dvc", "repro").stdout
    assert "> python -m pipeline.train" not in output
    assert "> python -m pipeline.evaluate" in output
    evaluation = json.loads((clone.path / "metrics/evaluation.json").read_text())
    assert evaluation["samples"] == 310
    maps = (clone.path / "metrics/network/maps").iterdir()
    assert {path.name for path in maps} == {"image_00309.png", "image_00007.png"}

    clone.edit_params({"evaluate.images": [310]})
    result = clone.run("dvc", "repro", check=False)
    assert result.returncode != 0
    assert (
        "params.yaml: evaluate.images: there is no test image 310; "
        "with 310 test images, the last is 309"
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
