"""The arrays that stages pass on."""

from typing import NamedTuple

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
