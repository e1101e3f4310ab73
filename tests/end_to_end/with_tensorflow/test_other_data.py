"""Other sizes, colours and classes come through the real pipeline, from the raw files to MLflow."""

import gzip
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from mlflow import pyfunc
from mlflow.models import Model
from PIL import Image
from playwright.sync_api import expect

from tests.conftest import Clone, make_clone, make_once
from tests.explore_page import IN_PROPORTION, ZERO, draw_with_mouse, serve_page, visit
from tests.mlflow_store import model_folder, runs_of

Images = npt.NDArray[np.uint8]
COUNTS = {"train": 3, "test": 2}  # images of each class


def make_images(classes: int, each: int, shape: tuple[int, ...], seed: int) -> Images:
    """Images (classes, each, *shape), those of a class alike but for some noise."""
    random = np.random.default_rng(0)
    patterns = random.integers(0, 200, (classes, 1, *shape))
    noise = np.random.default_rng(seed).integers(0, 50, (classes, each, *shape))
    return (patterns + noise).astype(np.uint8)


def write_class_folders(folder: Path, names: list[str], shape: tuple[int, ...]) -> None:
    for seed, (split, each) in enumerate(COUNTS.items()):
        images = make_images(len(names), each, shape, seed)
        for name, of_class in zip(names, images, strict=True):
            (folder / split / name).mkdir(parents=True)
            for number, image in enumerate(of_class):
                Image.fromarray(image).save(folder / split / name / f"{number}.png")


def write_idx(folder: Path, names: list[str], shape: tuple[int, ...]) -> None:
    folder.mkdir()
    (folder / "classes.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    for seed, (split, each) in enumerate(COUNTS.items()):
        images = make_images(len(names), each, shape, seed).swapaxes(0, 1).reshape(-1, *shape)
        labels = np.tile(np.arange(len(names), dtype=np.uint8), each)
        prefix = split.replace("test", "t10k")
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            content = gzip.compress(header + array.tobytes())
            (folder / f"{prefix}-{kind}-ubyte.gz").write_bytes(content)


Writer = Callable[[Path, list[str], tuple[int, ...]], None]
DATA: dict[str, tuple[Writer, list[str], tuple[int, ...]]] = {
    "colour": (write_class_folders, ["C++", "C__", "NA", 'a, "b"', "été"], (32, 32, 3)),
    "three": (write_idx, ["T-shirt/top", "007", "$x$ <b>"], (20, 24)),
    "many": (write_class_folders, [f"class {label:03}" for label in range(260)], (12, 12)),
}

NETWORKS: dict[str, dict[str, object]] = {  # but for the lesson's
    "colour": {"model.residual": True, "model.batch_norm": True}
}

Reproduce = Callable[[str], Clone]


@pytest.fixture
def reproduce(tmp_path_factory: pytest.TempPathFactory) -> Reproduce:
    """Make a clone after `dvc repro` with one of these data sets, committed: read only."""

    def build(path: Path, dataset: str) -> None:
        write, names, shape = DATA[dataset]
        clone = make_clone(path, with_tensorflow=True)
        write(path / "data/raw" / dataset, names, shape)
        params = {
            "prepare.dataset": dataset,
            "prepare.train_samples": 2 * len(names),
            "prepare.val_samples": len(names),
            "prepare.test_samples": 2 * len(names),
            "train.epochs": 1,
            **NETWORKS.get(dataset, {}),
        }
        clone.edit_params(params)
        output = clone.run("dvc", "repro").stdout
        assert "Warning" not in output
        clone.commit("Other data")

    return lambda dataset: make_once(tmp_path_factory, dataset, lambda path: build(path, dataset))


@pytest.mark.parametrize("dataset", DATA)
def test_sizes_and_classes_follow_from_the_data(reproduce: Reproduce, dataset: str) -> None:
    _, names, shape = DATA[dataset]
    clone = reproduce(dataset)
    prepared = {path.stem: np.load(path) for path in (clone.path / "data/prepared").glob("*.npy")}
    height, width, *channels = shape
    assert prepared["test_images"].shape == (2 * len(names), height, width, *(channels or [1]))
    assert prepared["test_labels"].dtype == (np.uint16 if len(names) > 256 else np.uint8)
    assert (clone.path / "data/prepared/classes.txt").read_text(encoding="utf-8").split("\n") == [
        *names,
        "",
    ]
    metrics = clone.path / "metrics"
    evaluation = json.loads((metrics / "evaluation.json").read_text(encoding="utf-8"))
    described = json.loads((metrics / "dataset.json").read_text(encoding="utf-8"))["splits"]
    assert list(evaluation["recall"]) == list(evaluation["precision"]) == names
    assert described[2]["classes"] == dict.fromkeys(names, 2)
    errors = pd.read_csv(metrics / "errors.csv", dtype=str, keep_default_na=False)
    assert len(errors) == evaluation["errors"] > 0
    labels = prepared["test_labels"][errors["image"].astype(int)]
    assert errors["label"].tolist() == [names[label] for label in labels]
    assert {*errors["predicted"]} <= {*names}

    (run,) = runs_of(clone)
    assert sum(name.startswith("test_recall.") for name in run.data.metrics) == len(names)
    folder = str(model_folder(clone, run))
    logged = Model.load(folder)
    assert logged.metadata == {"classes": names}
    (taken,), (given,) = logged.signature.inputs.inputs, logged.signature.outputs.inputs
    assert taken.shape == (-1, height, width, *(channels or [1]))
    assert given.shape == (-1, len(names))
    predictions = pd.read_csv(metrics / "predictions.csv", dtype=str, keep_default_na=False)
    served = pyfunc.load_model(folder).predict(prepared["test_images"])
    assert [names[label] for label in served.argmax(axis=1)] == predictions["predicted"].tolist()


def test_maps_of_residual_blocks_are_observed(reproduce: Reproduce) -> None:
    observed = np.load(reproduce("colour").path / "data/observations.npz")
    shapes = {name: observed[name].shape for name in observed if name.startswith("maps/")}
    assert shapes == {
        "maps/conv1_1": (5, 32, 32, 4),
        "maps/add1": (5, 32, 32, 8),
        "maps/pool1": (5, 16, 16, 8),
    }


def test_report_calls_classes_by_their_names(reproduce: Reproduce, tmp_path: Path) -> None:
    clone = reproduce("three").copy_to(tmp_path / "repository")
    clone.edit_params({"train.seed": 1})
    clone.run("dvc", "repro", PIPELINE_MLFLOW="off")
    clone.run("python", "-m", "pipeline.report", "HEAD", "--output", "out")
    report = (clone.path / "out/report.md").read_text(encoding="utf-8")

    assert "different images" not in report
    assert "\n| T-shirt/top | 2 |" in report
    assert "\n| 007 | 2 |" in report
    assert "\n| `$x$ <b>` | 2 |" in report
    assert "![Images that the change broke and fixed]" in report


@pytest.mark.parametrize("dataset", DATA)
def test_page_is_for_any_data(reproduce: Reproduce, tmp_path: Path, dataset: str) -> None:
    _, names, (height, width, *channels) = DATA[dataset]
    clone = reproduce(dataset).copy_to(tmp_path / "repository")
    with serve_page(clone) as (url, _), visit(url) as page:
        expect(page.get_by_text("There is no champion yet")).to_be_visible()
        page.wait_for_function(IN_PROPORTION, arg=[width, height])
        answer = page.locator(".answer")
        if channels:  # colour images are dropped in, and not drawn
            Image.new("RGB", (90, 60), (200, 30, 30)).save(tmp_path / "mine.png")
            page.locator("input[type=file]").set_input_files(tmp_path / "mine.png")
        else:
            draw_with_mouse(page, ZERO)
        expect(answer).to_have_text(re.compile("^Most likely: "))
        assert answer.inner_text().removeprefix("Most likely: ") in names
        expect(page.get_by_role("progressbar")).to_have_count(min(10, len(names)))
        page.get_by_label("Image", exact=True).fill("0")
        (label,) = np.load(clone.path / "data/prepared/test_labels.npy")[:1]
        expect(page.get_by_text("labelled")).to_have_text(f"Test image 0, labelled {names[label]}")
