"""Stage `prepare`: choose the images that train, validate and test, and describe them."""

from collections.abc import Iterator, Mapping
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
from pipeline.provenance.params import check_start

Counts = dict[str, int | Literal["all"]]


def select_splits(dataset: Dataset, params: PrepareParams) -> dict[str, Split]:
    """Choose the splits `train`, `val` and `test`, in the order of the raw data.

    The first `train_samples` raw training images train and the next `val_samples` validate; with
    `val_from: test`, the first `val_samples` raw test images validate instead. The first
    `test_samples` raw test images test. A count of `all` takes what there is, or is left.

    Returns:
        Images (N, height, width, channels), uint8, and labels (N,); views of IDX files.

    Raises:
        DataError: a raw split has fewer images than the params ask for, with one line for each
            fault, or one cannot be used.
    """
    from_train = params.val_from == "train"
    counts: Counts = {"train_samples": params.train_samples, "val_samples": params.val_samples}
    tested: Counts = {"test_samples": params.test_samples}
    if from_train:
        groups = [("train", len(dataset.train), counts)]
    else:
        alone: Counts = {"train_samples": counts.pop("train_samples")}
        groups = [("train", len(dataset.train), alone), ("test", len(dataset.test), counts)]
    groups.append(("test", len(dataset.test), tested))
    faults = [f"{dataset.folder}: {fault}" for group in groups for fault in find_faults(*group)]
    if faults:
        raise DataError("\n".join(faults))
    chosen = {name: n for _, available, asked in groups for name, n in count(available, asked)}
    train, val = chosen["train_samples"], chosen["val_samples"]
    return {
        "train": dataset.train.read(0, train),
        "val": dataset.train.read(train, train + val) if from_train else dataset.test.read(0, val),
        "test": dataset.test.read(0, chosen["test_samples"]),
    }


def count(available: int, asked: Counts) -> Iterator[tuple[str, int]]:
    """Yield how many images each param stands for; `all` is what the others leave.

    Args:
        available: images of the raw split.
        asked: counts by the names of their params, of which one may be `all`.
    """
    taken = sum(number for number in asked.values() if number != "all")
    for name, number in asked.items():
        yield name, available - taken if number == "all" else number


def find_faults(split: str, available: int, asked: Counts) -> Iterator[str]:
    """Say where a raw split has too few images; the other arguments are those of `count`."""
    numbers = [number for number in asked.values() if number != "all"]
    params = [f"prepare.{name}" for name, number in asked.items() if number != "all"]
    words = [f"prepare.{name}" for name, number in asked.items() if number == "all"]
    if sum(numbers) > available:
        asks = "asks" if len(params) == 1 else "together ask"
        yield (
            f"the raw {split} split has {available:,} images, but {' and '.join(params)} {asks} "
            f"for {sum(numbers):,}: lower {' or '.join(params)}"
        )
    elif words and sum(numbers) == available:
        yield (
            f"the raw {split} split has {available:,} images, all of which {params[0]} takes: "
            f"lower it, so that {words[0]} has some"
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
    dataset = read_dataset(raw / params.dataset, params.image_size, params.test_fraction)
    chosen = select_splits(dataset, params)
    write_classes(classes, dataset.classes)
    for name, split in chosen.items():
        splits.write_split(prepared[name], split)
    files.write_json(description, describe(chosen, dataset.classes))


if __name__ == "__main__":
    stage.run(main, check=check_start)
