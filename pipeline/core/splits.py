"""The prepared splits: two arrays each in `data/prepared`, and the checksums that prove them.

They are plain `.npy` files, which later stages map into memory instead of reading. A damaged
pixel would go unnoticed there: hence a file in the format of `md5sum` for each split. One for
all would make training depend on the test images.
"""

import mmap
import os
import weakref
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.core import files
from pipeline.core.arrays import ByteArray, Split
from pipeline.core.errors import DataError

# Of each mapping, the descriptor of its file, which may be replaced by another of this name.
_files: weakref.WeakKeyDictionary[mmap.mmap, int] = weakref.WeakKeyDictionary()


class SplitFiles(NamedTuple):
    """Where a split lies: its arrays, and their checksums."""

    images: Path
    labels: Path
    checksums: Path


def _locate(name: str) -> SplitFiles:
    return SplitFiles(
        PREPARED / f"{name}_images.npy", PREPARED / f"{name}_labels.npy", PREPARED / f"{name}.md5"
    )


PREPARED = Path("data/prepared")
TRAIN, VAL, TEST = _locate("train"), _locate("val"), _locate("test")
SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}


def write_split(paths: SplitFiles, split: Split) -> None:
    """Write images and labels, then their checksums."""
    arrays = paths.images, paths.labels
    for path, array in zip(arrays, split, strict=True):
        files.write_array(path, array)
    files.write_text(
        paths.checksums, "".join(f"{files.md5(path)}  {path.name}\n" for path in arrays)
    )


def read_split(paths: SplitFiles) -> Split:
    """Map the images (N, height, width, channels) and labels (N,) of a split into memory.

    Raises:
        DataError: a file is missing, or is not what `prepare` wrote.
    """
    arrays, checksums = (paths.images, paths.labels), paths.checksums
    try:
        proof = checksums.read_text(encoding="ascii", errors="replace")
        lines = [f"{files.md5(path)}  {path.name}\n" for path in arrays]
    except OSError as error:
        raise DataError(f"{checksums}: cannot be read: {error.strerror}; {files.REMEDY}") from error
    for path, line in zip(arrays, lines, strict=True):
        if line not in proof:
            raise DataError(
                f"{path}: is damaged, its content does not match {checksums}; "
                f"{files.remedy_for(path)}"
            )
    images, labels = map(_map_array, arrays)
    return Split(images, labels)


def take_images(images: ByteArray, chosen: npt.NDArray[np.int64]) -> ByteArray:
    """Return copies of images; those of `read_split` are read from the file itself.

    By way of the mapping, each would bring up to 16 pages into memory: the more images there
    are, the more often, and the more there is to release.

    Args:
        images: (N, height, width, channels), uint8.
        chosen: their numbers, (B,).

    Raises:
        DataError: the file has been cut.
    """
    base: object = images.base
    file = _files.get(base) if isinstance(base, mmap.mmap) else None
    if file is None or not isinstance(images, np.memmap):
        return images[chosen]
    size = images[0].nbytes
    places = (images.offset + number * size for number in chosen.tolist())
    taken = b"".join(os.pread(file, size, place) for place in places)
    if len(taken) < len(chosen) * size:
        raise DataError(f"{images.filename}: is truncated; {files.REMEDY}")
    return np.frombuffer(taken, np.uint8).reshape(len(chosen), *images.shape[1:])


def _map_array(path: Path) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:  # such as for Python objects
        raise DataError(f"{path}: is damaged ({error}); {files.remedy_for(path)}") from error
    mapping: Any = array.base
    _files[mapping] = os.open(path, os.O_RDONLY)
    weakref.finalize(mapping, os.close, _files[mapping])
    return array
