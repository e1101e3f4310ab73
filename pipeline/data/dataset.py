"""Find out how a raw data set is laid out, and read it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.core.errors import DataError
from pipeline.data.checksums import checksums_path
from pipeline.data.idx_folder import has_idx, read_idx_folder
from pipeline.data.image_folder import has_class_folders, read_image_folder
from pipeline.data.raw_data import Dataset

LAYOUTS = (
    "four IDX files named like MNIST's, such as train-images-idx3-ubyte.gz, or class folders of "
    "PNG or JPEG images, such as train/cat/1.png and test/cat/2.png"
)


def read_dataset(folder: Path, image_size: Sequence[int] | None) -> Dataset:
    """Read a folder of IDX files, or of class folders of images.

    Args:
        folder: that has the data.
        image_size: height and width to resize images to; None: they stay as they are.

    Raises:
        DataError: there is no data, or it cannot be used; the message names the file, and says
            what to do.
    """
    size = (image_size[0], image_size[1]) if image_size else None
    dataset = find_reader(folder)(folder, size)
    if len(dataset.classes) < 2:
        raise DataError(f"{folder}: has one class only; there must be two to tell apart")
    return dataset


def find_reader(folder: Path) -> Callable[[Path, tuple[int, int] | None], Dataset]:
    """Return the function that reads a folder laid out like this one.

    Raises:
        DataError: there is no data, or in both layouts.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; is prepare.dataset right in params.yaml?")
    layouts = has_idx(folder), has_class_folders(folder)
    if all(layouts):
        raise DataError(
            f"{folder}: has IDX files and also a folder train or test; which of the two is the "
            "data? Move the other away"
        )
    if not any(layouts):
        remedy = f"expected {LAYOUTS}"
        if checksums_path(folder).exists():
            remedy = f"`make {folder.name}` gets it"
        raise DataError(f"{folder}: has no data set; {remedy}")
    return read_idx_folder if layouts[0] else read_image_folder
