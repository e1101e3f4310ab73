"""Stage `prepare`: choose the images that train, validate and test, and describe them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pipeline.core import files, splits, stage
from pipeline.core.arrays import Split
from pipeline.core.classes import CLASSES, write_classes
from pipeline.core.errors import DataError
from pipeline.core.splits import SPLITS, SplitFiles
from pipeline.data.dataset import read_dataset
from pipeline.data.description import describe
from pipeline.data.params import PrepareParams, PrepareSections
from pipeline.data.paths import DATASET, RAW
from pipeline.data.raw_data import Dataset
from pipeline.provenance.params import load_params


def select_splits(dataset: Dataset, params: PrepareParams) -> dict[str, Split]:
    """Choose the splits `train`, `val` and `test`, in the order of the raw data.

    The first `train_samples` raw training images train and the next `val_samples` validate; with
    `val_from: test`, the first `val_samples` raw test images validate instead. The first
    `test_samples` raw test images test.

    Returns:
        Images (N, height, width, channels), uint8, and labels (N,); views of IDX files.

    Raises:
        DataError: a raw split has fewer images than the params ask for, or one cannot be used.
    """
    train, val, test = params.train_samples, params.val_samples, params.test_samples
    if params.val_from == "train":
        _require(dataset, "train", train_samples=train, val_samples=val)
        val_split = dataset.train.read(train, train + val)
    else:
        _require(dataset, "train", train_samples=train)
        _require(dataset, "test", val_samples=val)
        val_split = dataset.test.read(0, val)
    _require(dataset, "test", test_samples=test)
    return {
        "train": dataset.train.read(0, train),
        "val": val_split,
        "test": dataset.test.read(0, test),
    }


def _require(dataset: Dataset, name: Literal["train", "test"], **asked: int) -> None:
    split = dataset.train if name == "train" else dataset.test
    available, total = len(split), sum(asked.values())
    if total > available:
        params = [f"prepare.{param}" for param in asked]
        asks = "asks" if len(params) == 1 else "together ask"
        raise DataError(
            f"{dataset.folder}: the raw {name} split has {available} images, but "
            f"{' and '.join(params)} {asks} for {total}: lower {' or '.join(params)}"
        )


def main(
    sections: type[PrepareSections] = PrepareSections,
    raw: Path = RAW,
    classes: Path = CLASSES,
    prepared: Mapping[str, SplitFiles] = SPLITS,
    description: Path = DATASET,
) -> None:
    """Read the raw data set; write the three splits, their description and the class names."""
    params = sections.load().prepare
    dataset = read_dataset(raw / params.dataset, params.image_size)
    chosen = select_splits(dataset, params)
    write_classes(classes, dataset.classes)
    for name, split in chosen.items():
        splits.write_split(prepared[name], split)
    files.write_json(description, describe(chosen, dataset.classes))


if __name__ == "__main__":
    stage.run(main, check=load_params)
