"""Find out how a raw data set is laid out, and read it."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pipeline.core import files
from pipeline.core.errors import DataError
from pipeline.data.checksums import checksums_path
from pipeline.data.idx_folder import has_idx, read_idx_folder
from pipeline.data.image_folder import has_class_folders, read_class_folders, read_image_folder
from pipeline.data.npz_file import has_npz, read_npz_file
from pipeline.data.raw_data import Dataset

Read = Callable[[Path, tuple[int, int] | None], Dataset]


class Reader(NamedTuple):
    """A layout of raw data.

    Attributes:
        layout: in a few words.
        example: what such a folder has.
        knows: tells whether a folder is laid out so.
        read: reads such a folder, given the height and width to resize images to, or None.
    """

    layout: str
    example: str
    knows: Callable[[Path], bool]
    read: Read


READERS = (
    Reader(
        "IDX files",
        "four IDX files named like MNIST's, such as train-images-idx3-ubyte.gz",
        has_idx,
        read_idx_folder,
    ),
    Reader(
        "a folder train or test",
        "class folders of PNG or JPEG images, such as train/cat/1.png and test/cat/2.png",
        has_class_folders,
        read_image_folder,
    ),
    Reader(
        "a .npz file",
        "one .npz file with x_train, y_train, x_test and y_test",
        has_npz,
        read_npz_file,
    ),
)


def read_dataset(
    folder: Path, image_size: Sequence[int] | None, test_fraction: float | None = None
) -> Dataset:
    """Read a raw data set in one of the layouts of `READERS`.

    Args:
        folder: that has the data.
        image_size: height and width to resize images to; None: they stay as they are.
        test_fraction: of each class, where the folder has class folders and no splits.

    Raises:
        DataError: there is no data, or it cannot be used; the message names the file, and says
            what to do.
    """
    size = (image_size[0], image_size[1]) if image_size else None
    if folder.is_dir():
        require_followed(folder)
    dataset = find_reader(folder, test_fraction)(folder, size)
    if len(dataset.classes) < 2:
        raise DataError(f"{folder}: has one class only; there must be two to tell apart")
    return dataset


def require_followed(folder: Path) -> None:
    """Check that DVC follows all that a reader may read: otherwise it changes, and nothing reruns.

    Names that start with a dot are left out, as readers leave them out.

    Raises:
        DataError: a folder is a link, something is no file, or `.dvcignore` names it.
    """
    root = Path.cwd()
    in_project = folder.absolute().is_relative_to(root)
    counted = {*files.list_files([folder.absolute()], root)} if in_project else None
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        if ".dvcignore" in names:
            raise DataError(f"{here / '.dvcignore'}: hides data from DVC; remove it")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (here / name for name in folders):
            if path.is_symlink():
                raise DataError(
                    f"{path}: is a link to a folder, whose changes DVC would not see; put the "
                    "folder itself here"
                )
        for path in (here / name for name in sorted(names) if not name.startswith(".")):
            if not path.is_file():
                raise DataError(f"{path}: is not a file, or is a broken link; remove it")
            is_backup = path.name.endswith("~")  # of an editor, which no reader reads
            if counted is not None and path.absolute() not in counted and not is_backup:
                raise DataError(
                    f"{path}: DVC would not see its changes, because of .dvcignore; give it "
                    "another name, or move it away"
                )


def find_reader(folder: Path, test_fraction: float | None = None) -> Read:
    """Return the function that reads a folder laid out like this one.

    Args:
        folder: that has the data.
        test_fraction: of each class, where the folder has class folders and no splits.

    Raises:
        DataError: there is no data, or in several layouts.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; is prepare.dataset right in params.yaml?")
    if test_fraction is not None:
        return partial(read_class_folders, fraction=test_fraction)
    found = [reader for reader in READERS if reader.knows(folder)]
    if len(found) > 1:
        raise DataError(
            f"{folder}: has {found[0].layout} and also {found[1].layout}; which of the two is the "
            "data? Move the other away"
        )
    if not found:
        remedy = f"expected {', or '.join(reader.example for reader in READERS)}; class folders "
        remedy += "without train and test are split by prepare.test_fraction in params.yaml"
        if checksums_path(folder).exists():
            remedy = f"`make {folder.name}` gets it"
        raise DataError(f"{folder}: has no data set; {remedy}")
    return found[0].read
