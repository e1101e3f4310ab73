"""Read class folders of images: train/CLASS/*.png, test/CLASS/*.png, or JPEG files.

Without `train` and `test`, a fraction of each class tests.

The order of the images, of which the first ones train, is that of the MD5 of their paths, such as
`cat/1.png`. So classes are mixed, every machine has the same order, and another image moves none
of the others.
"""

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.arrays import ByteArray, Split
from pipeline.core.classes import find_fault
from pipeline.core.errors import DataError
from pipeline.data.image_file import read_image
from pipeline.data.raw_data import Dataset, describe_shape, spill

SPLITS = ("train", "test")
ENDINGS = {".png", ".jpg", ".jpeg"}


@dataclass(frozen=True)
class FileSplit:
    """A raw split of image files, which are read when they are asked for.

    Attributes:
        files: in their order.
        labels: of each of them.
        classes: number of classes.
        size: height and width to resize images to; None: they stay as they are.
        first: the image that all others must be like.
    """

    files: list[Path]
    labels: list[int]
    classes: int
    size: tuple[int, int] | None
    first: Path

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.files)

    def read(self, start: int, stop: int) -> Split:
        """Read the files from `start` to before `stop`, into a temporary file.

        Raises:
            DataError: one is damaged, or is not like the first.
        """
        shape = read_image(self.first, self.size).shape
        images = spill(self._images(start, stop, shape), (stop - start, *shape))
        dtype = np.min_scalar_type(self.classes - 1)  # the smallest that has them all
        return Split(images, np.array(self.labels[start:stop], dtype))

    def _images(self, start: int, stop: int, shape: tuple[int, ...]) -> Iterator[ByteArray]:
        for file in self.files[start:stop]:
            image = read_image(file, self.size)
            if image.shape != shape:
                remedy = (
                    "prepare.image_size in params.yaml resizes all to one size"
                    if image.shape[2] == shape[2]
                    else "save all as grey or all as colour images"
                )
                raise DataError(
                    f"{file}: is {describe_shape(image.shape)}, but {self.first} is "
                    f"{describe_shape(shape)}; {remedy}"
                )
            yield image


def has_class_folders(folder: Path) -> bool:
    """Tell whether a folder has one of the two splits."""
    return any((folder / split).is_dir() for split in SPLITS)


def read_image_folder(folder: Path, size: tuple[int, int] | None) -> Dataset:
    """Find the images of both splits, and the classes, which are sorted by their names.

    Names that start with a dot are skipped.

    Raises:
        DataError: a split, a class or the images of one are missing, or something lies there that
            has no place in such a folder.
    """
    for path in _list(folder):
        if path.is_dir() and path.name not in SPLITS:
            raise DataError(
                f"{path}: is not used, as images are taken from train and test alone; move it away"
            )
    train, test = (_list_classes(folder / split) for split in SPLITS)
    _check_names(folder, [*train, *test])
    for name in sorted(train.keys() ^ test.keys()):
        there, other = SPLITS if name in train else SPLITS[::-1]
        raise DataError(
            f"{folder / there / name}: there is no class {name} in {folder / other}; both splits "
            "must have the same classes"
        )
    return _combine(folder, train, test, size)


def read_class_folders(folder: Path, size: tuple[int, int] | None, fraction: float) -> Dataset:
    """Find the images of class folders without splits, and split each class, in the same order.

    Args:
        folder: that has the class folders, and nothing else.
        size: height and width to resize images to; None: they stay as they are.
        fraction: of the images of a class that test, at least one; at least one trains.

    Raises:
        DataError: there are splits, a class has fewer than two images, or something lies there
            that has no place in such a folder.
    """
    if has_class_folders(folder):
        raise DataError(
            f"{folder}: has a folder train or test, so prepare.test_fraction in params.yaml must "
            "be null"
        )
    classes = _list_classes(folder)
    _check_names(folder, list(classes))
    train, test = {}, {}
    for name, files in classes.items():
        if len(files) < 2:
            raise DataError(f"{folder / name}: has one image; it takes two, to train and to test")
        ordered = sorted(files, key=_digest)
        count = min(max(round(fraction * len(files)), 1), len(files) - 1)
        test[name], train[name] = ordered[:count], ordered[count:]
    return _combine(folder, train, test, size)


def _combine(
    folder: Path,
    train: dict[str, list[Path]],
    test: dict[str, list[Path]],
    size: tuple[int, int] | None,
) -> Dataset:
    classes = sorted(train)
    files = [_shuffle(split, classes) for split in (train, test)]
    first = files[0][0][0]
    return Dataset(
        folder, classes, *(FileSplit(*found, len(classes), size, first) for found in files)
    )


def _list(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def _list_classes(folder: Path) -> dict[str, list[Path]]:
    """Return the images of each class of a split."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; it must have a folder of images for each class")
    classes = {}
    for path in _list(folder):
        if not path.is_dir():
            raise DataError(f"{path}: lies beside the folders of classes; move it into one or away")
        classes[path.name] = list(_list(path))
        for file in classes[path.name]:
            if file.suffix.lower() not in ENDINGS or not file.is_file():
                raise DataError(f"{file}: is not a .png, .jpg or .jpeg file; move it away")
        if not classes[path.name]:
            raise DataError(f"{path}: has no images; add some, or remove the class from both")
    if not classes:
        raise DataError(f"{folder}: has no folders of classes")
    return classes


def _check_names(folder: Path, names: list[str]) -> None:
    known: dict[str, str] = {}
    for name in names:
        if fault := find_fault(name):
            raise DataError(f"{folder}: the name of the class {name!a} {fault}; rename its folder")
        same = known.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if same != name:
            raise DataError(
                f"{folder}: the classes {same} and {name} differ in case or in the writing of "
                "accents only, which some file systems cannot tell apart; rename or join them"
            )


def _shuffle(split: dict[str, list[Path]], classes: list[str]) -> tuple[list[Path], list[int]]:
    """Return the files and their labels, ordered by the MD5 of their paths."""
    labelled = [(file, label) for label, name in enumerate(classes) for file in split[name]]
    files, labels = zip(*sorted(labelled, key=lambda item: _digest(item[0])), strict=True)
    return list(files), list(labels)


def _digest(file: Path) -> bytes:
    path = b"/".join(map(os.fsencode, file.parts[-2:]))
    return hashlib.md5(path, usedforsecurity=False).digest()
