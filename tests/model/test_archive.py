"""What the file of a model may not hold, in small files made with zipfile and h5py."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.model.archive import require_plain

ZEROS = np.zeros(2**16, np.float32)


def write(path: Path, fill: Callable[[h5py.File], object], kind: int = zipfile.ZIP_STORED) -> None:
    weights = path.with_suffix(".h5")
    with h5py.File(weights, "w") as file:
        fill(file)
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("config.json", "{}")
        archive.write(weights, "model.weights.h5")


def fill_with_arrays(file: h5py.File) -> None:
    group = file.create_group("layers/dense/vars")
    group.create_dataset("0", data=ZEROS)
    group.create_dataset("1", data=np.float32(3))
    group.create_dataset("2", data=ZEROS[:0])


def test_arrays_as_keras_stores_them_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    write(path, fill_with_arrays)
    require_plain(path)


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (lambda file: file.create_dataset("0", data=ZEROS, compression="gzip"), "0 would unpack"),
        # None of it is written: it would be filled when it is read.
        (lambda file: file.create_dataset("0", (10**6, 10**6), "f4"), "0 would unpack"),
        (
            lambda file: file.update({"0": h5py.ExternalLink("/etc/hosts", "0")}),
            "0 in it is a link",
        ),
        (lambda file: file.update({"0": h5py.SoftLink("/layers")}), "0 in it is a link"),
    ],
)
def test_arrays_that_grow_or_lie_elsewhere_are_refused(
    tmp_path: Path, fill: Callable[[h5py.File], object], message: str
) -> None:
    path = tmp_path / "model.keras"
    write(path, fill)
    with pytest.raises(ValueError, match=message):
        require_plain(path)


def test_archive_that_unpacks_to_more_than_it_is_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    write(path, fill_with_arrays, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="made to fill the memory: it would unpack to"):
        require_plain(path)


def test_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    write(path, fill_with_arrays)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.weights\.h5 in it has another checksum"):
        require_plain(path)
