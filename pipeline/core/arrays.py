"""The arrays that stages pass on, and how to read those that are too large for memory."""

import errno
import math
import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.core.errors import PipelineError

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer]
LabelArray = npt.NDArray[np.uint8 | np.uint16]


class Split(NamedTuple):
    """Images and their labels, in the same order.

    `images` is (N, height, width, channels), uint8, with 1 channel of grey levels or 3 of red,
    green and blue. `labels` is (N,) with values from 0 to the number of classes - 1, uint8 for up
    to 256 classes and otherwise uint16.
    """

    images: ByteArray
    labels: LabelArray


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CHUNK_BYTES = 2**22  # at a time: many small images, or few large ones


@contextmanager
def temporary_file() -> Iterator[IO[bytes]]:
    """Yield an anonymous temporary file for arrays, which exists as long as one is mapped to it.

    Raises:
        PipelineError: it cannot be made, or the disk is full.
    """
    made = False
    try:
        with tempfile.TemporaryFile() as file:
            made = True
            yield file
    except OSError as error:
        if made and error.errno not in FULL:  # of a file that is read meanwhile
            raise
        raise PipelineError(
            f"{tempfile.gettempdir()}: a temporary file cannot be written: {error.strerror}; "
            "TMPDIR can name a folder with more room"
        ) from error


def chunks(array: npt.NDArray[Any], size: int | None = None) -> Iterator[npt.NDArray[Any]]:
    """Yield copies of an array's parts, one after another.

    Args:
        array: of images or labels, (N, ...).
        size: images or labels in each part; None: as many as `CHUNK_BYTES` have room for.
    """
    each = array.dtype.itemsize * math.prod(array.shape[1:])
    size = size or max(1, CHUNK_BYTES // max(1, each))
    for start in range(0, len(array), size):
        yield np.array(array[start : start + size])
        release(array)


def release(array: npt.NDArray[Any]) -> None:
    """Release the memory that holds parts of a file that an array is mapped to.

    The system keeps them as long as it has room, but they no longer count as this process's, whose
    memory would otherwise grow to the size of the file.
    """
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)
