"""Reading IDX files: what is there, and one clear line for every fault."""

import gzip
import hashlib
import math
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pipeline.core.arrays import Split
from pipeline.core.errors import DataError
from pipeline.data.dataset import read_dataset
from pipeline.data.idx import find_idx, read_idx

MNIST = Path(__file__).parents[2] / "data" / "raw" / "mnist"
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx(shape: tuple[int, ...], items: bytes, item_type: int = 0x08) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, item_type, len(shape), *shape) + items


def images(count: int, size: tuple[int, int] = (28, 28)) -> bytes:
    shape = (count, *size)
    return idx(shape, bytes(i % 251 for i in range(math.prod(shape))))


def labels(*values: int) -> bytes:
    return idx((len(values),), bytes(values))


class Whole(NamedTuple):
    """All that a data set has."""

    folder: Path
    classes: list[str]
    train: Split
    test: Split


def read_whole(folder: Path, image_size: list[int] | None = None) -> Whole:
    dataset = read_dataset(folder, image_size)
    train, test = (split.read(0, len(split)) for split in (dataset.train, dataset.test))
    return Whole(dataset.folder, dataset.classes, train, test)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three training and two test images, two of the four files gzipped."""
    (tmp_path / IMAGES).write_bytes(images(3))
    (tmp_path / f"{LABELS}.gz").write_bytes(gzip.compress(labels(1, 0, 1)))
    (tmp_path / f"{TEST_IMAGES}.gz").write_bytes(gzip.compress(images(2)))
    (tmp_path / TEST_LABELS).write_bytes(labels(1, 0))
    return tmp_path


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    """An image of each of ten classes in both splits."""
    for name in (IMAGES, TEST_IMAGES):
        (tmp_path / name).write_bytes(images(10))
    for name in (LABELS, TEST_LABELS):
        (tmp_path / name).write_bytes(labels(*range(10)))
    return tmp_path


def fault(read: Callable[[], object], folder: Path) -> str:
    """Return the message of the `DataError` that `read` raises, without the folder's path."""
    with pytest.raises(DataError) as caught:
        read()
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "")


def test_reads_plain_and_gzipped_files(folder: Path) -> None:
    dataset = read_whole(folder)

    assert dataset.folder == folder
    assert dataset.train.images.shape == (3, 28, 28, 1)
    assert dataset.train.images.dtype == dataset.train.labels.dtype == np.uint8
    assert dataset.train.images.ravel().tolist() == [i % 251 for i in range(3 * 28 * 28)]
    assert dataset.train.labels.tolist() == [1, 0, 1]
    assert dataset.test.images.ravel().tolist() == [i % 251 for i in range(2 * 28 * 28)]
    assert dataset.test.labels.tolist() == [1, 0]


def test_items_are_in_row_major_order(tmp_path: Path) -> None:
    (tmp_path / "cube").write_bytes(idx((2, 1, 3), bytes([0, 1, 2, 250, 251, 252])))

    assert read_idx(tmp_path / "cube", rank=3).tolist() == [[[0, 1, 2]], [[250, 251, 252]]]


def test_reads_gzip_data_of_several_members(tmp_path: Path) -> None:
    content = labels(1, 2, 3)
    members = gzip.compress(content[:5]) + gzip.compress(content[5:])
    (tmp_path / f"{LABELS}.gz").write_bytes(members)

    assert read_idx(find_idx(tmp_path / LABELS), rank=1).tolist() == [1, 2, 3]


def test_plain_file_wins_over_gzipped_one(tmp_path: Path) -> None:
    (tmp_path / LABELS).write_bytes(labels(1))
    (tmp_path / f"{LABELS}.gz").write_bytes(gzip.compress(labels(2)))

    assert read_idx(find_idx(tmp_path / LABELS), rank=1).tolist() == [1]


ONE_BYTE_OFF = idx((2, 28, 28), bytes(2 * 28 * 28 - 1))
ONE_BYTE_MORE = idx((2, 28, 28), bytes(2 * 28 * 28 + 1))
ABSURD = idx((2**32 - 1,) * 3, b"")
FILE_FAULTS = {
    "empty": (b"", "is empty"),
    "no magic number": (b"\0\0\x08", "has 3 bytes, its header alone takes 16"),
    "half a header": (images(1)[:15], "has 15 bytes, its header alone takes 16"),
    "text": (b"<html>", "is not an IDX file: starts with 0x3c68746d"),
    "gzip without .gz": (gzip.compress(images(1)), "is gzipped; add .gz to its name"),
    "labels": (labels(1), "rank is 1, expected 3 (images have rank 3, labels rank 1)"),
    "rank 255": (b"\0\0\x08\xff", "rank is 255, expected 3 (images have rank 3, labels rank 1)"),
    "too short": (
        ONE_BYTE_OFF,
        "1567 bytes follow its header, which announces 1568 (2x28x28)",
    ),
    "trailing byte": (
        ONE_BYTE_MORE,
        "1569 bytes follow its header, which announces 1568 (2x28x28)",
    ),
    "absurd": (
        ABSURD,
        "0 bytes follow its header, which announces 79228162458924105385300197375 "
        "(4294967295x4294967295x4294967295)",
    ),
    "no images": (idx((0, 28, 28), b""), "has no images"),
    "empty images": (images(3, (0, 28)), "its images of 0x28 have no pixels"),
}


@pytest.mark.parametrize(("content", "message"), FILE_FAULTS.values(), ids=FILE_FAULTS)
def test_faulty_images_are_refused(folder: Path, content: bytes, message: str) -> None:
    (folder / IMAGES).write_bytes(content)

    assert fault(lambda: read_whole(folder), folder) == f"{IMAGES}: {message}"


@pytest.mark.parametrize(
    ("item_type", "name"),
    [
        (0x09, "0x09 (signed byte)"),
        (0x0B, "0x0B (short)"),
        (0x0C, "0x0C (int)"),
        (0x0D, "0x0D (float)"),
        (0x0E, "0x0E (double)"),
        (0x0A, "0x0A (unknown)"),
    ],
)
def test_other_item_types_are_named(folder: Path, item_type: int, name: str) -> None:
    (folder / IMAGES).write_bytes(idx((3, 28, 28), bytes(3 * 28 * 28), item_type))

    message = fault(lambda: read_whole(folder), folder)

    assert message == f"{IMAGES}: item type is {name}, expected 0x08 (unsigned byte)"


def test_images_in_place_of_labels_are_refused(folder: Path) -> None:
    (folder / TEST_LABELS).write_bytes(images(2))

    message = fault(lambda: read_whole(folder), folder)

    expected = "rank is 3, expected 1 (images have rank 3, labels rank 1)"
    assert message == f"{TEST_LABELS}: {expected}"


@pytest.mark.parametrize("values", [(1,), (1, 2, 3)])
def test_as_many_labels_as_images_are_required(folder: Path, values: tuple[int, ...]) -> None:
    (folder / TEST_LABELS).write_bytes(labels(*values))

    message = fault(lambda: read_whole(folder), folder)

    assert message == f"{TEST_LABELS}: has {len(values)} labels for 2 images"


def test_classes_without_names_are_called_by_their_labels(ten: Path) -> None:
    assert read_whole(ten).classes == [str(label) for label in range(10)]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ((1, 0, 1), (0, 0), f"{LABELS}: has the label 1, but the highest of {TEST_LABELS} is 0; "),
        ((1, 1, 1), (0, 1), f"{LABELS}: has no image of the class 0; "),
        ((0, 1, 3), (0, 1), f"{LABELS}: has the label 3, but the highest of {TEST_LABELS} is 1; "),
        ((0, 3, 1), (3, 1), f"{LABELS}: has no image of the class 2; "),
        ((0, 1, 2), (0, 2), f"{TEST_LABELS}: has no image of the class 1; "),
        ((0, 1, 0), (0, 2), f"{TEST_LABELS}: has the label 2, but the highest of {LABELS} is 1; "),
    ],
)
def test_both_splits_must_have_every_class(
    folder: Path, train: tuple[int, ...], test: tuple[int, ...], message: str
) -> None:
    (folder / f"{LABELS}.gz").unlink()
    (folder / LABELS).write_bytes(labels(*train))
    (folder / TEST_LABELS).write_bytes(labels(*test))

    found = fault(lambda: read_whole(folder), folder)

    assert found.startswith(message)
    assert "must have images of all labels from 0 to" in found


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_classes_have_the_names_that_a_file_gives_them(ten: Path, ends: str, mark: str) -> None:
    names = ["T-shirt/top", "a, b", '"', "NA", "été", "日本", "$x$", "7", "A", "a"]
    (ten / "classes.txt").write_bytes((mark + ends.join(names) + ends).encode())

    assert read_whole(ten).classes == names


NAMES = [f"class {label}" for label in range(10)]
NAME_FAULTS = {
    "too few": (NAMES[:9], "names 9 classes, but the labels go from 0 to 9"),
    "too many": ([*NAMES, "more"], "names 11 classes, but the labels go from 0 to 9"),
    "empty": ([*NAMES[:4], "", *NAMES[5:]], "the name in line 5 is empty"),
    "twice": ([*NAMES[:9], "class 3"], "lines 4 and 10 have the same name"),
    "space": ([" a", *NAMES[1:]], "the name in line 1 starts or ends with a space"),
    "tab": (["a\tb", *NAMES[1:]], "the name in line 1 has the character U+0009"),
    "separator": (["a\u2028b", *NAMES[1:]], "the name in line 1 has the character U+2028"),
    "formula": (["=1+1", *NAMES[1:]], "the name in line 1 starts with =, so that a spreadsheet"),
    "command": (["@sum", *NAMES[1:]], "the name in line 1 starts with @, so that a spreadsheet"),
    "turned": (["a\u2066b", *NAMES[1:]], "the name in line 1 has the character U+2066"),
    "long": (["a" * 101, *NAMES[1:]], "the name in line 1 has 101 characters, at most 100"),
}


@pytest.mark.parametrize(("names", "message"), NAME_FAULTS.values(), ids=NAME_FAULTS)
def test_faulty_names_are_refused(ten: Path, names: list[str], message: str) -> None:
    (ten / "classes.txt").write_text("\n".join(names) + "\n", encoding="utf-8")

    found = fault(lambda: read_whole(ten), ten)

    assert found.startswith(f"classes.txt: {message}")
    assert "must have one name per line" in found


def test_numbers_and_other_names_that_look_like_formulas_are_allowed(ten: Path) -> None:
    names = ["-1", "+2.5", "C++", "a=b", "x-ray", "me@home", "0", "\u0627\u0628", "a\u200db", "-0"]
    (ten / "classes.txt").write_text("\n".join(names) + "\n", encoding="utf-8")

    assert read_whole(ten).classes == names


def test_names_that_are_not_utf_8_are_refused(ten: Path) -> None:
    (ten / "classes.txt").write_bytes(b"caf\xe9\n" * 10)

    message = fault(lambda: read_whole(ten), ten)

    assert message.endswith("must have one name per line, in UTF-8")


def test_images_of_any_size_are_read(folder: Path) -> None:
    (folder / IMAGES).write_bytes(images(3, size=(5, 7)))
    (folder / f"{TEST_IMAGES}.gz").write_bytes(gzip.compress(images(2, size=(5, 7))))

    assert read_whole(folder).train.images.shape == (3, 5, 7, 1)


def test_images_of_another_size_than_those_for_training_are_refused(folder: Path) -> None:
    (folder / IMAGES).write_bytes(images(3, size=(5, 7)))

    message = fault(lambda: read_whole(folder), folder)

    expected = "training images are 5x7, grey, but test images are 28x28, grey; they must agree"
    assert message == f"{folder}: {expected}"


def test_images_are_resized_if_that_is_asked_for(folder: Path) -> None:
    (folder / f"{TEST_IMAGES}.gz").write_bytes(gzip.compress(images(2, size=(5, 7))))
    (folder / IMAGES).write_bytes(idx((3, 28, 28), bytes([90]) * 3 * 28 * 28))

    read = read_whole(folder, image_size=[14, 10])

    assert (read.train.images.shape, read.test.images.shape) == ((3, 14, 10, 1), (2, 14, 10, 1))
    assert (read.train.images == 90).all()


def test_coloured_images_have_rank_4(folder: Path) -> None:
    for name, count in ((IMAGES, 3), (f"{TEST_IMAGES}.gz", 2)):
        (folder / name).unlink()
        coloured = idx((count, 4, 5, 3), bytes(range(60)) * count)
        (folder / name.replace("idx3", "idx4").removesuffix(".gz")).write_bytes(coloured)

    read = read_whole(folder)

    assert (read.train.images.shape, read.test.images.shape) == ((3, 4, 5, 3), (2, 4, 5, 3))
    assert read.test.images[1, 0, 1].tolist() == [3, 4, 5]


def test_other_channels_than_grey_and_colour_are_refused(folder: Path) -> None:
    name = IMAGES.replace("idx3", "idx4")
    (folder / name).write_bytes(idx((3, 4, 5, 2), bytes(120)))

    message = fault(lambda: read_whole(folder), folder)

    assert message == f"{name}: its images have 2 channels, expected 1 (grey) or 3"


@pytest.mark.parametrize("name", [IMAGES, TEST_LABELS])
def test_missing_file_is_named_with_both_spellings(folder: Path, name: str) -> None:
    (folder / name).unlink()

    message = fault(lambda: read_whole(folder), folder)

    assert message == f"{name}: no such file, nor {name}.gz"


def test_missing_folder_points_to_the_param(tmp_path: Path) -> None:
    message = fault(lambda: read_whole(tmp_path / "minst"), tmp_path)

    assert message == "minst: no such folder; is prepare.dataset right in params.yaml?"


def test_gz_file_that_is_not_gzipped_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"{LABELS}.gz").write_bytes(labels(1))

    message = fault(lambda: read_idx(find_idx(tmp_path / LABELS), rank=1), tmp_path)

    expected = "is not gzipped; if it is plain IDX, remove .gz from its name"
    assert message == f"{LABELS}.gz: {expected}"


def test_empty_gz_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"{LABELS}.gz").write_bytes(b"")

    message = fault(lambda: read_idx(find_idx(tmp_path / LABELS), rank=1), tmp_path)

    assert message == f"{LABELS}.gz: is empty"


def test_gzip_that_unpacks_to_more_than_announced_is_not_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress(idx((2, 28, 28), bytes(2**26)))
    (tmp_path / f"{IMAGES}.gz").write_bytes(bomb)
    tracemalloc.start()

    message = fault(lambda: read_idx(find_idx(tmp_path / IMAGES), rank=3), tmp_path)

    assert message == f"{IMAGES}.gz: unpacks to more than its header announces"
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize("lost", [1, 8, 20])
def test_truncated_gzip_is_refused(tmp_path: Path, lost: int) -> None:
    (tmp_path / f"{IMAGES}.gz").write_bytes(gzip.compress(images(1))[:-lost])

    message = fault(lambda: read_idx(find_idx(tmp_path / IMAGES), rank=3), tmp_path)

    assert message == f"{IMAGES}.gz: its gzip data is cut short; get the file again"


def test_gzip_with_broken_checksum_is_refused(tmp_path: Path) -> None:
    damaged = bytearray(gzip.compress(labels(1, 2, 3)))
    damaged[-8] ^= 1  # the last eight bytes are checksum and length
    (tmp_path / f"{LABELS}.gz").write_bytes(damaged)

    message = fault(lambda: read_idx(find_idx(tmp_path / LABELS), rank=1), tmp_path)

    assert message.startswith(f"{LABELS}.gz: its gzip data is damaged (CRC check failed")


def test_gzip_with_broken_data_is_refused(tmp_path: Path) -> None:
    damaged = bytearray(gzip.compress(images(1)))
    damaged[10] |= 0b110  # block type 3, which RFC 1951 reserves as an error
    (tmp_path / f"{IMAGES}.gz").write_bytes(damaged)

    message = fault(lambda: read_idx(find_idx(tmp_path / IMAGES), rank=3), tmp_path)

    assert message.startswith(f"{IMAGES}.gz: its gzip data is damaged (")
    assert "invalid block type" in message


def test_directory_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / LABELS).mkdir()

    message = fault(lambda: read_idx(find_idx(tmp_path / LABELS), rank=1), tmp_path)

    assert message == f"{LABELS}: cannot be read: Is a directory"


def test_unreadable_file_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)

    message = fault(lambda: read_idx(find_idx(folder / LABELS), rank=1), folder)

    assert message == f"{LABELS}.gz: cannot be read: Permission denied"


@pytest.fixture(scope="module")
def mnist() -> Whole:
    return read_whole(MNIST)


def test_mnist_has_the_published_content(mnist: Whole) -> None:
    arrays = {
        "train images": (mnist.train.images, "6bbc9ace898e44ae57da46a324031adb"),
        "train labels": (mnist.train.labels, "a25bea736e30d166cdddb491f175f624"),
        "test images": (mnist.test.images, "2646ac647ad5339dbf082846283269ea"),
        "test labels": (mnist.test.labels, "27ae3e4e09519cfbb04c329615203637"),
    }
    digests = {}
    for name, (array, _) in arrays.items():
        shape = array.shape[:3] if "images" in name else array.shape
        md5 = hashlib.md5(idx(shape, b""), usedforsecurity=False)
        md5.update(array.data)
        digests[name] = md5.hexdigest()

    assert digests == {name: published for name, (_, published) in arrays.items()}


def test_mnist_has_the_published_counts(mnist: Whole) -> None:
    assert mnist.train.images.shape == (60000, 28, 28, 1)
    assert mnist.test.images.shape == (10000, 28, 28, 1)
    assert np.bincount(mnist.train.labels).tolist() == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    ]
    assert np.bincount(mnist.test.labels).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]


def test_mnist_starts_with_the_known_labels(mnist: Whole) -> None:
    assert mnist.train.labels[0] == 5
    assert mnist.test.labels[0] == 7


def test_arrays_are_views_of_the_bytes_read(mnist: Whole) -> None:
    assert not mnist.train.images.flags.owndata
    assert not mnist.train.images.flags.writeable
