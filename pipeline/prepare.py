"""Stage `prepare`: choose the images that train, validate and test, and describe them."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from pipeline import files, splits, stage
from pipeline.arrays import ByteArray, Split
from pipeline.classes import write_classes
from pipeline.dataset import Dataset, read_dataset
from pipeline.errors import DataError
from pipeline.params import PrepareParams, load_params
from pipeline.paths import DATASET, RAW

HISTOGRAM_BATCH = 1000  # images; np.bincount makes a copy with 8 bytes per pixel


def select_splits(dataset: Dataset, params: PrepareParams) -> dict[str, Split]:
    """Choose the splits `train`, `val` and `test`, in the order of the raw data.

    The first `train_samples` raw training images train and the next `val_samples` validate; with
    `val_from: test`, the first `val_samples` raw test images validate instead. The first
    `test_samples` raw test images test.

    Returns:
        Views of the raw data: images (N, height, width, channels), uint8, and labels (N,).

    Raises:
        DataError: a raw split has fewer images than the params ask for.
    """
    train, val, test = params.train_samples, params.val_samples, params.test_samples
    if params.val_from == "train":
        _require(dataset, "train", train_samples=train, val_samples=val)
        val_split = _part(dataset.train, train, train + val)
    else:
        _require(dataset, "train", train_samples=train)
        _require(dataset, "test", val_samples=val)
        val_split = _part(dataset.test, 0, val)
    _require(dataset, "test", test_samples=test)
    return {
        "train": _part(dataset.train, 0, train),
        "val": val_split,
        "test": _part(dataset.test, 0, test),
    }


def describe(chosen: dict[str, Split], names: Sequence[str]) -> dict[str, object]:
    """Summarise the splits `train`, `val` and `test` for `metrics/dataset.json`.

    Args:
        chosen: the splits.
        names: of the classes.

    Returns:
        Under `splits`, for each its name, number of `samples`, that of each class, and mean and
        standard deviation of its pixels, which are taken from 0 to 1, rounded to 6 digits (in a
        list, which keeps them out of DVC's tables of metrics); under `test_images_also_in`, how
        many test images occur pixel for pixel in the other splits.
    """
    test_images = chosen["test"].images
    return {
        "splits": [_describe_split(name, split, names) for name, split in chosen.items()],
        "test_images_also_in": {
            name: _count_occurring(test_images, chosen[name].images) for name in ("train", "val")
        },
    }


def _require(dataset: Dataset, name: Literal["train", "test"], **asked: int) -> None:
    split = dataset.train if name == "train" else dataset.test
    available, total = len(split.images), sum(asked.values())
    if total > available:
        params = [f"prepare.{param}" for param in asked]
        asks = "asks" if len(params) == 1 else "together ask"
        raise DataError(
            f"{dataset.folder}: the raw {name} split has {available} images, but "
            f"{' and '.join(params)} {asks} for {total}: lower {' or '.join(params)}"
        )


def _part(split: Split, start: int, stop: int) -> Split:
    return Split(split.images[start:stop], split.labels[start:stop])


def _describe_split(name: str, split: Split, names: Sequence[str]) -> dict[str, object]:
    mean, std = _pixel_mean_std(split.images)
    classes = np.bincount(split.labels, minlength=len(names)).tolist()
    return {
        "split": name,
        "samples": len(split.images),
        "classes": dict(zip(names, classes, strict=True)),
        "pixel_mean": round(mean, 6),
        "pixel_std": round(std, 6),
    }


def _pixel_mean_std(images: ByteArray) -> tuple[float, float]:
    """Return mean and standard deviation of the pixels on a scale from 0 to 1.

    Both come from a histogram, in integers up to the last step, so they are the same everywhere.
    """
    starts = range(0, len(images), HISTOGRAM_BATCH)
    batches = (images[start : start + HISTOGRAM_BATCH] for start in starts)
    histograms = [np.bincount(batch.ravel(), minlength=256) for batch in batches]
    histogram = np.sum(histograms, axis=0).tolist()
    count = sum(histogram)
    total = sum(value * number for value, number in enumerate(histogram))
    squares = sum(value**2 * number for value, number in enumerate(histogram))
    mean = total / count
    std = math.sqrt(count * squares - total**2) / count
    return mean / 255, std / 255


def _count_occurring(images: ByteArray, others: ByteArray) -> int:
    known = {image.tobytes() for image in others}
    return sum(image.tobytes() in known for image in images)


def main() -> None:
    """Read the raw data set; write the three splits, their description and the class names."""
    params = load_params().prepare
    dataset = read_dataset(RAW / params.dataset)
    chosen = select_splits(dataset, params)
    write_classes(dataset.classes)
    for name, split in chosen.items():
        splits.write_split(name, split)
    files.write_json(DATASET, describe(chosen, dataset.classes))


if __name__ == "__main__":
    stage.run(main)
