"""The arrays that stages pass on, and how to read those that are too large for memory."""

import mmap
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer]
LabelArray = npt.NDArray[np.uint8 | np.uint16]


class Split(NamedTuple):
    """Images and their labels, in the same order.

    `images` is (N, height, width, channels), uint8, with 1 channel of grey levels or 3 of red,
    green and blue. `labels` is (N,) with values from 0 to the number of classes - 1, uint8 for up
    to 256 classes and else uint16.
    """

    images: ByteArray
    labels: LabelArray


CHUNK = 1000  # images


def chunks(array: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Return copies of an array's parts, one after another, CHUNK images or labels each."""
    for start in range(0, len(array), CHUNK):
        yield np.array(array[start : start + CHUNK])
        let_go(array)


def let_go(array: npt.NDArray[Any]) -> None:
    """Let go of the memory in which parts of a file lie that an array is mapped to.

    The system keeps them as long as it has room, but they no longer count as this process's, whose
    memory would else grow up to the size of the file.
    """
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)
