"""The arrays that stages pass on."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CLASSES = 10

ByteArray = npt.NDArray[np.uint8]


class Split(NamedTuple):
    """Images and their labels, in the same order.

    `images` is (N, 28, 28) as read, (N, 28, 28, 1) once prepared; `labels` is (N,) with values
    0 to 9. Both are uint8.
    """

    images: ByteArray
    labels: ByteArray
