"""Read data like MNIST's: four IDX files, gzipped or not, in one folder."""

from pathlib import Path

import numpy as np

from pipeline.core.arrays import ByteArray
from pipeline.core.errors import DataError
from pipeline.data.array_dataset import NamedSplit, combine_splits
from pipeline.data.idx import find_idx, read_idx, spellings
from pipeline.data.raw_data import CHANNELS, ArraySplit, Dataset


def has_idx(folder: Path) -> bool:
    """Tell whether a folder has any of the files."""
    return any(folder.glob("*-idx[134]-ubyte*"))


def read_idx_folder(folder: Path, size: tuple[int, int] | None) -> Dataset:
    """Read and check the training and the test split of a folder.

    The arrays are mapped to files and can only be read.

    Args:
        folder: that the files are in.
        size: height and width to resize images to; None: they stay as they are.

    Raises:
        DataError: a file is missing or damaged, or the files do not belong together.
    """
    train, test = (_read_split(folder, prefix, size) for prefix in ("train", "t10k"))
    return combine_splits(folder, train, test)


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


def _read_split(folder: Path, prefix: str, size: tuple[int, int] | None) -> NamedSplit:
    images = read_images(folder, prefix)
    labels_file = find_idx(folder / f"{prefix}-labels-idx1-ubyte")
    labels = read_idx(labels_file, rank=1)
    if len(images) != len(labels):
        raise DataError(f"{labels_file}: has {len(labels)} labels for {len(images)} images")
    return NamedSplit(ArraySplit(images, labels, size), str(labels_file))
