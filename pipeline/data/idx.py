"""Read IDX files, gzipped or not.

The format is described at the end of Yann LeCun's MNIST page: two zero bytes, one byte for the
type of the items, one for the number of dimensions (the rank), each dimension as a big-endian
32-bit integer, then the items.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from pipeline.core.arrays import ByteArray, temporary_file
from pipeline.core.errors import DataError

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
PART = 2**20  # bytes that are unpacked at a time


def spellings(path: Path) -> tuple[Path, Path]:
    """Return the two names that an IDX file may have."""
    return path, path.with_name(f"{path.name}.gz")


def find_idx(path: Path) -> Path:
    """Return `path` if there is such a file, otherwise the same name with `.gz` appended.

    Raises:
        DataError: there is neither.
    """
    plain, gzipped = spellings(path)
    for file in (plain, gzipped):
        if file.exists():
            return file
    raise DataError(f"{path}: no such file, nor {gzipped.name}")


def read_idx(file: Path, rank: int) -> ByteArray:
    """Map an IDX file of unsigned bytes with `rank` dimensions into memory.

    It is gzipped if its name ends in `.gz`, and then unpacked into a temporary file.

    Raises:
        DataError: the file cannot be read, or is not a whole IDX file of that type and rank.
    """
    try:
        with file.open("rb") as content:
            if file.suffix != ".gz":
                return _map(file, content, rank)
            with temporary_file() as unpacked:
                _gunzip(file, content, unpacked, rank)
                return _map(file, unpacked, rank)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error


def _header_size(rank: int) -> int:
    return 4 + 4 * rank


def _read_shape(header: bytes, rank: int) -> tuple[int, ...]:
    return struct.unpack_from(f">{rank}I", header, offset=4)


def _map(file: Path, content: IO[bytes], rank: int) -> ByteArray:
    header_size = _header_size(rank)
    header, size = content.read(header_size), os.fstat(content.fileno()).st_size
    if not header:
        raise DataError(f"{file}: is empty")
    if len(header) >= 4:
        _check_magic(file, header[:4], rank)
    if len(header) < header_size:
        raise DataError(f"{file}: has {size} bytes, its header alone takes {header_size}")
    shape = _read_shape(header, rank)
    announced, found = math.prod(shape), size - header_size
    if announced != found:
        dimensions = "x".join(map(str, shape))
        raise DataError(
            f"{file}: {found} bytes follow its header, which announces {announced} ({dimensions})"
        )
    return np.memmap(content, np.uint8, "r", header_size, shape)


def _gunzip(file: Path, packed: IO[bytes], unpacked: IO[bytes], rank: int) -> None:
    """Unpack as much as the header announces; more could fill the disk."""
    start = packed.read(len(GZIP_MAGIC))
    if start and start != GZIP_MAGIC:
        raise DataError(f"{file}: is not gzipped; if it is plain IDX, remove .gz from its name")
    packed.seek(0)
    try:
        with gzip.open(packed) as content:
            header = content.read(_header_size(rank))
            unpacked.write(header)
            if len(header) == _header_size(rank):
                _check_magic(file, header[:4], rank)
                left = math.prod(_read_shape(header, rank))
                while part := content.read(min(left, PART)):
                    unpacked.write(part)
                    left -= len(part)
                if content.read(1):
                    raise DataError(f"{file}: unpacks to more than its header announces")
    except EOFError as error:
        raise DataError(f"{file}: its gzip data is cut short; get the file again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{file}: its gzip data is damaged ({error}); get it again") from error
    unpacked.seek(0)


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
