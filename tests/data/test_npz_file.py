"""Reading data as Keras keeps its own: one `.npz` file."""

import errno
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.core.errors import DataError, PipelineError
from pipeline.data.dataset import read_dataset

Arrays = dict[str, npt.NDArray[Any]]
RNG = np.random.default_rng(0)


@pytest.fixture
def arrays() -> Arrays:
    """Three training and two test images of 4x5 pixels in two classes."""
    return {
        "x_train": RNG.integers(0, 256, (3, 4, 5), np.uint8),
        "y_train": np.array([1, 0, 1], np.uint8),
        "x_test": RNG.integers(0, 256, (2, 4, 5), np.uint8),
        "y_test": np.array([1, 0], np.uint8),
    }


def save_npz(path: Path, arrays: Any) -> None:  # noqa: ANN401, of which NumPy's types know too little
    np.savez(path, **arrays)


def fault(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_dataset(folder, None)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(folder), "HERE")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_images_and_labels_are_those_of_the_file(
    tmp_path: Path, arrays: Arrays, save: Callable[..., None]
) -> None:
    save(tmp_path / "mnist.npz", **arrays)

    dataset = read_dataset(tmp_path, None)

    assert dataset.classes == ["0", "1"]
    for name, split in (("train", dataset.train), ("test", dataset.test)):
        images, labels = split.read(0, len(split))
        np.testing.assert_array_equal(images, arrays[f"x_{name}"][..., None], strict=True)
        np.testing.assert_array_equal(labels, arrays[f"y_{name}"], strict=True)


def test_colours_wide_labels_and_columns_of_labels_are_read(tmp_path: Path) -> None:
    """As in Keras's CIFAR: (N, 32, 32, 3), and labels (N, 1) of another type."""
    images = RNG.integers(0, 256, (300, 2, 2, 3), np.uint8)
    labels = np.arange(300)[:, None]
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)

    dataset = read_dataset(tmp_path, [4, 4])

    read = dataset.train.read(10, 12)
    assert read.images.shape == (2, 4, 4, 3)
    np.testing.assert_array_equal(read.labels, np.array([10, 11], np.uint16), strict=True)


def test_arrays_in_the_order_of_fortran_keep_their_values(tmp_path: Path, arrays: Arrays) -> None:
    turned = arrays | {"x_train": np.asfortranarray(arrays["x_train"])}
    save_npz(tmp_path / "a.npz", turned)

    images, _ = read_dataset(tmp_path, None).train.read(0, 3)

    np.testing.assert_array_equal(images[..., 0], arrays["x_train"])


def test_classes_are_named_beside_the_file(tmp_path: Path, arrays: Arrays) -> None:
    save_npz(tmp_path / "a.npz", arrays)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")

    assert read_dataset(tmp_path, None).classes == ["cat", "dog"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "a.npz: has no y_test; expected x_train, y_train, x_test and y_test"),
        (
            {"x_train": np.zeros((3, 4, 5), np.float32)},
            "a.npz: x_train: has shape (3, 4, 5) and type float32, expected "
            "(images, height, width) or (images, height, width, 3) of uint8",
        ),
        (
            {"x_test": np.zeros((2, 20), np.uint8)},
            "a.npz: x_test: has shape (2, 20) and type uint8, expected ",
        ),
        ({"x_test": np.zeros((2, 0, 5), np.uint8)}, "a.npz: x_test: has shape (2, 0, 5), so "),
        ({"y_train": np.array([0, 1])}, "a.npz: y_train: has 2 labels for 3 images"),
        ({"y_train": np.array([0, 1, -1])}, "a.npz: y_train: has the label -1, expected 0 to "),
        ({"y_test": np.array([0, 70000])}, "a.npz: y_test: has the label 70000, expected 0 to "),
        (
            {"y_train": np.array([0.0, 1.0, 1.0])},
            "a.npz: y_train: has shape (3,) and type float64, expected (images,) of whole numbers",
        ),
        (
            {"y_train": np.array(["a", "b", "b"], object)},
            "a.npz: is damaged (y_train has Python objects); get it again",
        ),
        (
            {"y_test": np.array([0, 11])},
            "a.npz: y_test: has the label 11, but the highest of HERE/a.npz: y_train is 1; both ",
        ),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, arrays: Arrays, changes: dict[str, npt.NDArray[Any] | None], message: str
) -> None:
    changed = {name: array for name, array in (arrays | changes).items() if array is not None}
    save_npz(tmp_path / "a.npz", changed)

    assert fault(tmp_path).startswith(f"HERE/{message}")


def test_damaged_file_is_named(tmp_path: Path, arrays: Arrays) -> None:
    save_npz(tmp_path / "a.npz", arrays)
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[: len(content) // 2])

    assert fault(tmp_path).startswith("HERE/a.npz: is damaged (File is not a zip file)")


def test_array_of_another_size_than_announced_is_not_unpacked(
    tmp_path: Path, arrays: Arrays
) -> None:
    save_npz(tmp_path / "a.npz", arrays)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["x_train.npy"] += bytes(2**20)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)

    message = "HERE/a.npz: is damaged (x_train has another size than its header announces)"
    assert fault(tmp_path).startswith(message)


def test_two_files_are_one_too_many(tmp_path: Path, arrays: Arrays) -> None:
    for name in ("a", "b"):
        save_npz(tmp_path / f"{name}.npz", arrays)

    assert fault(tmp_path) == "HERE: has a.npz and b.npz; move one of them away"


def test_full_disk_is_no_damage(
    arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    save_npz(tmp_path / "data.npz", arrays)
    monkeypatch.setattr("shutil.copyfileobj", fill)
    with pytest.raises(PipelineError, match="a temporary file cannot be written: No space left"):
        read_dataset(tmp_path, None)
