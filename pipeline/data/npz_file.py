"""Read data as Keras keeps its own: one `.npz` file with x_train, y_train, x_test and y_test."""

import math
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.arrays import temporary_file
from pipeline.core.errors import DataError, PipelineError
from pipeline.data.array_dataset import NamedSplit, check_labels, combine_splits
from pipeline.data.raw_data import ArraySplit, Dataset

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def has_npz(folder: Path) -> bool:
    """Tell whether a folder has such a file."""
    return any(folder.glob("*.npz"))


def read_npz_file(folder: Path, size: tuple[int, int] | None) -> Dataset:
    """Read and check the training and the test split.

    Images are (N, height, width) or, coloured, (N, height, width, 3), uint8; labels are (N,) or
    (N, 1), integers from 0. All are unpacked into temporary files, which are mapped into memory.

    Args:
        folder: that the file is in, the only one of its kind.
        size: height and width to resize images to; None: they stay as they are.

    Raises:
        DataError: there are several files, or the one there is cannot be used.
    """
    file, *others = sorted(folder.glob("*.npz"))
    if others:
        raise DataError(f"{folder}: has {file.name} and {others[0].name}; move one of them away")
    train, test = (_read_split(file, name, size) for name in ("train", "test"))
    return combine_splits(folder, train, test)


def _read_split(file: Path, name: str, size: tuple[int, int] | None) -> NamedSplit:
    images, labels = (_read_array(file, f"{letter}_{name}") for letter in "xy")
    is_grey = images.ndim == 3
    if images.dtype != np.uint8 or not (is_grey or images.shape[3:] in ((1,), (3,))):
        raise DataError(
            f"{file}: x_{name}: has shape {images.shape} and type {images.dtype}, expected "
            "(images, height, width) or (images, height, width, 3) of uint8"
        )
    if not all(images.shape):
        raise DataError(f"{file}: x_{name}: has shape {images.shape}, so it has no pixels")
    if is_grey:
        images = images[..., np.newaxis]
    labels_from = f"{file}: y_{name}"
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    return NamedSplit(
        ArraySplit(images, check_labels(labels, len(images), labels_from), size), labels_from
    )


def _read_array(file: Path, name: str) -> npt.NDArray[Any]:
    """Unpack an array of the file, and map it into memory."""
    try:
        with zipfile.ZipFile(file) as archive, temporary_file() as unpacked:
            with archive.open(f"{name}.npy") as packed:
                shape, is_fortran, dtype = HEADERS[np.lib.format.read_magic(packed)](packed)
                if dtype.hasobject:
                    raise ValueError(f"{name} has Python objects")
                start, order = packed.tell(), "F" if is_fortran else "C"
                size = start + dtype.itemsize * math.prod(shape)
                if archive.getinfo(f"{name}.npy").file_size != size:  # and could fill the disk
                    raise ValueError(f"{name} has another size than its header announces")
                packed.seek(0)
                shutil.copyfileobj(packed, unpacked)
            return np.memmap(unpacked, dtype, "r", start, shape, order)  # type: ignore[call-overload,no-any-return]
    except PipelineError:  # no room to unpack it
        raise
    except KeyError as error:
        raise DataError(
            f"{file}: has no {name}; expected x_train, y_train, x_test and y_test"
        ) from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    except Exception as error:  # zipfile and NumPy have many for what a damaged file may hold
        raise DataError(f"{file}: is damaged ({error}); get it again") from error
