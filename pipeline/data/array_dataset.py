"""Data sets whose images and labels are arrays, whatever file those come from."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.core.arrays import LabelArray, chunks
from pipeline.core.classes import parse_classes
from pipeline.core.errors import DataError
from pipeline.data.raw_data import ArraySplit, Dataset, describe_shape

CLASS_NAMES = "classes.txt"


class NamedSplit(NamedTuple):
    """A raw split, and what messages call the place that its labels come from."""

    split: ArraySplit
    labels_from: str


def check_labels(labels: npt.NDArray[Any], count: int, labels_from: str) -> LabelArray:
    """Return labels (N,) in the type that the pipeline has for them, uint8 or uint16.

    Args:
        labels: as a file has them.
        count: number of images.
        labels_from: what messages call the place that they come from.

    Raises:
        DataError: they are not one whole number from 0 to 65,535 for each image, or there are none.
    """
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        raise DataError(
            f"{labels_from}: has shape {labels.shape} and type {labels.dtype}, expected (images,) "
            "of whole numbers"
        )
    if len(labels) != count:
        raise DataError(f"{labels_from}: has {len(labels)} labels for {count} images")
    if not count:
        raise DataError(f"{labels_from}: has no labels")
    largest = np.iinfo(np.uint16).max
    for part in chunks(labels):
        if part.min() < 0 or part.max() > largest:
            wrong = part[(part < 0) | (part > largest)][0]
            raise DataError(
                f"{labels_from}: has the label {wrong}, expected 0 to {largest} at most"
            )
    return labels.astype(np.uint8 if labels.max() < 256 else np.uint16)


def combine_splits(folder: Path, train: NamedSplit, test: NamedSplit) -> Dataset:
    """Check that two splits belong together, and name their classes.

    The classes are named in `classes.txt`, one a line; without that file they are called by their
    labels, from 0 to the highest there is.

    Raises:
        DataError: their images differ in size or channels, a split has no image of a class, or
            there are not as many names as classes.
    """
    shapes = [named.split.images.shape[1:] for named in (train, test)]
    resized = train.split.size is not None
    if shapes[0][2:] != shapes[1][2:] if resized else shapes[0] != shapes[1]:
        raise DataError(
            f"{folder}: training images are {describe_shape(shapes[0])}, but test images are "
            f"{describe_shape(shapes[1])}; they must agree"
        )
    highest = [int(named.split.labels.max()) for named in (train, test)]
    remedy = f"both splits must have images of all labels from 0 to {max(highest)}"
    if highest[0] != highest[1]:
        odd, other = (train, test) if highest[0] > highest[1] else (test, train)
        raise DataError(
            f"{odd.labels_from}: has the label {max(highest)}, but the highest of "
            f"{other.labels_from} is {min(highest)}; {remedy}"
        )
    classes = _read_classes(folder, highest[0] + 1)
    for named in (train, test):
        empty = sorted(set(range(len(classes))) - set(np.unique(named.split.labels).tolist()))
        if empty:
            raise DataError(
                f"{named.labels_from}: has no image of the class {classes[empty[0]]}; {remedy}"
            )
    return Dataset(folder, classes, train.split, test.split)


def _read_classes(folder: Path, count: int) -> list[str]:
    """Return the classes' names from `classes.txt`, if there is one, otherwise their labels."""
    file = folder / CLASS_NAMES
    try:
        names = parse_classes(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return [str(label) for label in range(count)]
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{file}: {error}; it must have one name per line, in UTF-8") from error
    if len(names) != count:
        raise DataError(
            f"{file}: names {len(names)} classes, but the labels go from 0 to {count - 1}; it must "
            "have one name per line, in the order of the labels"
        )
    return names
