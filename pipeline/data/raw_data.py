"""Raw data, of which the images that train, validate and test are chosen."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from pipeline.core.arrays import ByteArray, LabelArray, Split, chunks, temporary_file

CHANNELS = {1: "grey", 3: "colour"}


class RawSplit(Protocol):
    """The training or the test images, in an order of which the first ones are chosen."""

    def __len__(self) -> int:
        """Return how many there are."""

    def read(self, start: int, stop: int) -> Split:
        """Return those from `start` to before `stop`."""


class Dataset(NamedTuple):
    """The two raw splits, the names of their classes, and the folder that messages name."""

    folder: Path
    classes: list[str]
    train: RawSplit
    test: RawSplit


@dataclass(frozen=True)
class ArraySplit:
    """A raw split that is an array.

    Attributes:
        images: (N, height, width, channels).
        labels: (N,).
        size: height and width to resize images to; None: they stay as they are.
    """

    images: ByteArray
    labels: LabelArray
    size: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def read(self, start: int, stop: int) -> Split:
        """Return views of the arrays; resized images lie in a temporary file."""
        images = self.images[start:stop]
        if self.size:
            size, channels = self.size, images.shape[3]
            resized = (resize_array(image, size) for part in chunks(images) for image in part)
            images = spill(resized, (len(images), *size, channels))
        return Split(images, self.labels[start:stop])


def spill(images: Iterable[ByteArray], shape: tuple[int, ...]) -> ByteArray:
    """Return images (height, width, channels) as an array in a temporary file.

    Args:
        images: N of them.
        shape: of the array, (N, height, width, channels).
    """
    with temporary_file() as file:
        for image in images:
            file.write(image.tobytes())
        file.flush()
        return np.memmap(file, np.uint8, "r", shape=shape)


def resize(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Stretch a picture to a height and width, if it has others.

    A new pixel is a mean of the old ones it covers, those near its middle counting most (bilinear;
    Pillow widens the filter where it shrinks, so nothing is skipped).
    """
    height, width = size
    return picture.resize((width, height), Image.Resampling.BILINEAR)


def resize_array(image: ByteArray, size: tuple[int, int]) -> ByteArray:
    """Do the same to an image (height, width, channels)."""
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    return np.asarray(resize(picture, size)).reshape(*size, image.shape[2])


def describe_shape(shape: tuple[int, ...]) -> str:
    """Return the shape (height, width, channels) of images in words, such as `28x28, grey`."""
    height, width, channels = shape
    return f"{height}x{width}, {CHANNELS[channels]}"
