"""Read data like MNIST's: four IDX files, gzipped or not, in one folder."""

from pathlib import Path

import numpy as np

from pipeline.core.arrays import ByteArray
from pipeline.core.classes import parse_classes
from pipeline.core.errors import DataError
from pipeline.data.idx import find_idx, read_idx, spellings
from pipeline.data.raw_data import CHANNELS, ArraySplit, Dataset, describe_shape

CLASS_NAMES = "classes.txt"


def has_idx(folder: Path) -> bool:
    """Tell whether a folder has any of the files."""
    return any(folder.glob("*-idx[134]-ubyte*"))


def read_idx_folder(folder: Path, size: tuple[int, int] | None) -> Dataset:
    """Read and check the training and the test split of a folder.

    The arrays are mapped to files and can only be read. The classes are named in `classes.txt`, one
    a line; without that file they are called by their labels, from 0 to the highest there is.

    Args:
        folder: that the files are in.
        size: height and width to resize images to; None: they stay as they are.

    Raises:
        DataError: a file is missing or damaged, the files do not hold images of one size with as
            many labels, a split has no image of a class, or there are not as many names as classes.
    """
    train, test = (_read_split(folder, prefix, size) for prefix in ("train", "t10k"))
    shapes = [split.images.shape[1:] for split in (train, test)]
    same = shapes[0] == shapes[1] if size is None else shapes[0][2] == shapes[1][2]
    if not same:
        raise DataError(
            f"{folder}: training images are {describe_shape(shapes[0])}, but test images are "
            f"{describe_shape(shapes[1])}; they must agree"
        )
    count = 1 + max(int(split.labels.max()) for split in (train, test))
    classes = _read_classes(folder, count)
    for prefix, split in (("train", train), ("t10k", test)):
        empty = sorted(set(range(count)) - set(np.unique(split.labels).tolist()))
        if empty:
            raise DataError(
                f"{find_idx(_labels_path(folder, prefix))}: has no image of the class "
                f"{classes[empty[0]]}; both splits must have images of all labels from 0 to "
                f"{count - 1}"
            )
    return Dataset(folder, classes, train, test)


def read_images(folder: Path, prefix: str) -> ByteArray:
    """Read the images (N, height, width, channels) of the split `train` or `t10k`, uint8.

    Grey ones are in a file of rank 3, `PREFIX-images-idx3-ubyte`; coloured ones may be in one of
    rank 4, `PREFIX-images-idx4-ubyte`.

    Raises:
        DataError: the file is missing or damaged, or has no images, or not 1 or 3 channels.
    """
    grey, coloured = (folder / f"{prefix}-images-idx{rank}-ubyte" for rank in (3, 4))
    if any(path.exists() for path in spellings(coloured)):
        file = find_idx(coloured)
        images = read_idx(file, rank=4)
    else:
        file = find_idx(grey)
        images = read_idx(file, rank=3)[..., np.newaxis]
    count, height, width, channels = images.shape
    if count == 0:
        raise DataError(f"{file}: has no images")
    if height == 0 or width == 0:
        raise DataError(f"{file}: its images of {height}x{width} have no pixels")
    if channels not in CHANNELS:
        raise DataError(f"{file}: its images have {channels} channels, expected 1 (grey) or 3")
    return images


def _read_split(folder: Path, prefix: str, size: tuple[int, int] | None) -> ArraySplit:
    images = read_images(folder, prefix)
    labels_file = find_idx(_labels_path(folder, prefix))
    labels = read_idx(labels_file, rank=1)
    if len(images) != len(labels):
        raise DataError(f"{labels_file}: has {len(labels)} labels for {len(images)} images")
    return ArraySplit(images, labels, size)


def _labels_path(folder: Path, prefix: str) -> Path:
    return folder / f"{prefix}-labels-idx1-ubyte"


def _read_classes(folder: Path, count: int) -> list[str]:
    """Return the names of the classes from `classes.txt`, if there is one, else their labels."""
    file = folder / CLASS_NAMES
    try:
        names = parse_classes(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return [str(label) for label in range(count)]
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{file}: {error}; it must have one name a line, in UTF-8") from error
    if len(names) != count:
        raise DataError(
            f"{file}: names {len(names)} classes, but the labels go from 0 to {count - 1}; it must "
            "have one name a line, in the order of the labels"
        )
    return names
