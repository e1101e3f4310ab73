"""Read MNIST-like datasets: four IDX files, gzipped or not, in one folder.

The format is described at the end of Yann LeCun's MNIST page: two zero bytes, one byte for the
type of the items, one for the number of dimensions (the rank), each dimension as a big-endian
32-bit integer, then the items.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.arrays import ByteArray, LabelArray, Split
from pipeline.classes import parse_classes
from pipeline.errors import DataError

UNSIGNED_BYTE = 0x08
ITEM_TYPES = {
    UNSIGNED_BYTE: "unsigned byte",
    0x09: "signed byte",
    0x0B: "short",
    0x0C: "int",
    0x0D: "float",
    0x0E: "double",
}
GZIP_MAGIC = b"\x1f\x8b"
CHANNELS = {1: "grey", 3: "colour"}
CLASS_NAMES = "classes.txt"


class Dataset(NamedTuple):
    """The two raw splits, the names of their classes, and the folder that messages name."""

    folder: Path
    classes: list[str]
    train: Split
    test: Split


def read_dataset(folder: Path) -> Dataset:
    """Read and check the training and the test split of `folder`.

    The arrays are read-only views of the files' bytes. The classes are named in `classes.txt`, one
    a line; without that file they are called by their labels, from 0 to the highest there is.

    Raises:
        DataError: a file is missing or damaged, or the files do not hold images of one size with
            as many labels, or not as many names as classes.
    """
    train, test = _read_split(folder, "train"), _read_split(folder, "t10k")
    size, other = (read.images.shape[1:] for read in (train, test))
    if size != other:
        raise DataError(
            f"{folder}: training images are {describe_size(size)}, but test images are "
            f"{describe_size(other)}"
        )
    return Dataset(folder, _read_classes(folder, [train.labels, test.labels]), train, test)


def read_images(folder: Path, prefix: str) -> ByteArray:
    """Read the images (N, height, width, channels) of the split `train` or `t10k`, uint8.

    Grey ones are in a file of rank 3, `PREFIX-images-idx3-ubyte`; coloured ones may be in one of
    rank 4, `PREFIX-images-idx4-ubyte`.

    Raises:
        DataError: the file is missing or damaged, or has no images, or not 1 or 3 channels.
    """
    grey, coloured = (folder / f"{prefix}-images-idx{rank}-ubyte" for rank in (3, 4))
    if any(path.exists() for path in _spellings(coloured)):
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


def describe_size(shape: tuple[int, ...]) -> str:
    """Return the shape (height, width, channels) of images in words, such as `28x28, grey`."""
    height, width, channels = shape
    return f"{height}x{width}, {CHANNELS[channels]}"


def find_idx(path: Path) -> Path:
    """Return `path` if there is such a file, else the same name with `.gz` appended.

    Raises:
        DataError: there is neither.
    """
    plain, gzipped = _spellings(path)
    for file in (plain, gzipped):
        if file.exists():
            return file
    if not path.parent.is_dir():
        raise DataError(f"{path.parent}: no such folder; is prepare.dataset right in params.yaml?")
    raise DataError(f"{path}: no such file, nor {gzipped.name}")


def read_idx(file: Path, rank: int) -> ByteArray:
    """Read an IDX file of unsigned bytes with `rank` dimensions, without a copy.

    It is gzipped if its name ends in `.gz`.

    Raises:
        DataError: the file cannot be read, or is not a whole IDX file of that type and rank.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    if file.suffix == ".gz":
        data = _gunzip(file, data)
    if not data:
        raise DataError(f"{file}: is empty")
    if len(data) >= 4:
        _check_magic(file, data[:4], rank)
    header_size = 4 + 4 * rank
    if len(data) < header_size:
        raise DataError(f"{file}: has {len(data)} bytes, its header alone takes {header_size}")
    shape = struct.unpack_from(f">{rank}I", data, offset=4)
    announced, found = math.prod(shape), len(data) - header_size
    if announced != found:
        dimensions = "x".join(map(str, shape))
        raise DataError(
            f"{file}: {found} bytes follow its header, which announces {announced} ({dimensions})"
        )
    return np.frombuffer(data, np.uint8, offset=header_size).reshape(shape)


def _read_split(folder: Path, prefix: str) -> Split:
    images = read_images(folder, prefix)
    labels_file = find_idx(folder / f"{prefix}-labels-idx1-ubyte")
    labels = read_idx(labels_file, rank=1)
    if len(images) != len(labels):
        raise DataError(f"{labels_file}: has {len(labels)} labels for {len(images)} images")
    return Split(images, labels)


def _read_classes(folder: Path, labels: Sequence[LabelArray]) -> list[str]:
    """Return the names of the classes from `classes.txt`, if there is one, else their labels."""
    file, count = folder / CLASS_NAMES, 1 + max(int(of_split.max()) for of_split in labels)
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


def _spellings(path: Path) -> tuple[Path, Path]:
    return path, path.with_name(f"{path.name}.gz")


def _gunzip(file: Path, content: bytes) -> bytes:
    if content and not content.startswith(GZIP_MAGIC):
        raise DataError(f"{file}: is not gzipped; if it is plain IDX, remove .gz from its name")
    try:
        return gzip.decompress(content)
    except EOFError as error:
        raise DataError(f"{file}: its gzip data is cut short; get the file again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{file}: its gzip data is damaged ({error}); get it again") from error


def _check_magic(file: Path, magic: bytes, rank: int) -> None:
    if magic.startswith(GZIP_MAGIC):
        raise DataError(f"{file}: is gzipped; add .gz to its name")
    if magic[:2] != b"\0\0":
        raise DataError(f"{file}: is not an IDX file: starts with 0x{magic.hex()}")
    item_type, found_rank = magic[2], magic[3]
    if item_type != UNSIGNED_BYTE:
        found = f"0x{item_type:02X} ({ITEM_TYPES.get(item_type, 'unknown')})"
        raise DataError(f"{file}: item type is {found}, expected 0x08 (unsigned byte)")
    if found_rank != rank:
        raise DataError(
            f"{file}: rank is {found_rank}, expected {rank} (images have rank 3, labels rank 1)"
        )
