"""What `evaluate` saw in the network, for `plot` to draw without it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.core import files
from pipeline.core.arrays import ByteArray, FloatArray, IntArray
from pipeline.core.errors import DataError

MAPS = "maps/"

LevelArray = ByteArray | npt.NDArray[np.int8]


class Observations(NamedTuple):
    """What the network makes of some test images.

    Attributes:
        kernel: weights of the first layer: (height, width, channels, filters), float32; those of
            a dense layer's units have the shape of an image.
        attributions: of the scores of the predicted and of the true class, for the most confident
            errors in the order of `selection.confident_errors`: (M, 2, height, width, channels),
            float32, in units of the logit.
        margins: of the true class, as `selection.score_margins` has it, (N,), float32.
        rivals: the strongest class but the true one, (N,).
        followed: numbers of the images whose maps are kept, (F,).
        maps: (F, height, width, filters) by their names, in the order of the network, as
            `quantize` makes them.
    """

    kernel: FloatArray
    attributions: FloatArray
    margins: FloatArray
    rivals: IntArray
    followed: IntArray
    maps: dict[str, LevelArray]


def quantize(maps: FloatArray) -> LevelArray:
    """Return the maps of a layer as bytes, whose largest stands for an image's strongest value.

    Args:
        maps: (F, height, width, filters).

    Returns:
        Maps of the same shape: uint8, from 0 to 255, or, if any value is negative, int8, from
        -127 to 127. 0 is 0 in both.
    """
    dtype = np.uint8 if maps.min() >= 0 else np.int8
    strongest = np.abs(maps).max(axis=(1, 2, 3), keepdims=True)
    strongest = np.maximum(strongest, np.finfo(np.float32).tiny)
    levels: LevelArray = np.rint(maps / strongest * np.iinfo(dtype).max).astype(dtype)
    return levels


def write_observations(path: Path, observations: Observations) -> None:
    """Write all arrays to one `.npz` file: the same values, the same bytes."""
    arrays = observations._asdict()
    arrays |= {MAPS + name: values for name, values in arrays.pop("maps").items()}
    files.write_bytes(path, files.pack_arrays(arrays))


def read_observations(path: Path) -> Observations:
    """Read what `write_observations` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
        maps = {name: arrays.pop(name) for name in list(arrays) if name.startswith(MAPS)}
        named = {name.removeprefix(MAPS): values for name, values in maps.items()}
        return Observations(**arrays, maps=named)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; {files.REMEDY}") from error
    except Exception as error:  # zipfile has many for what a damaged directory may hold
        raise DataError(f"{path}: is damaged ({error}); {files.remedy_for(path)}") from error
