"""Prepared splits come back as they were written, or are refused."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.core import splits
from pipeline.core.arrays import Split
from pipeline.core.errors import DataError

IMAGES = Path("data/prepared/val_images.npy")
LABELS = Path("data/prepared/val_labels.npy")
CHECKSUMS = Path("data/prepared/val.md5")
REMEDY = "`dvc repro` makes it again"


def make_split(count: int, seed: int = 0) -> Split:
    random = np.random.default_rng(seed)
    return Split(
        random.integers(0, 256, (count, 28, 28, 1), np.uint8),
        random.integers(0, 10, count, np.uint8),
    )


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Split:
    """Twelve images and labels, written as `val` to an empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    split = make_split(12)
    splits.write_split(splits.VAL, split)
    return split


def refusal() -> str:
    """Return the message with which `val` is refused."""
    with pytest.raises(DataError) as caught:
        splits.read_split(splits.VAL)
    return str(caught.value)


def damaged(path: Path) -> str:
    return f"{path}: is damaged, its content does not match {CHECKSUMS}; {REMEDY}"


def prove() -> None:
    """Make the checksums fit the files as they are."""
    digests = {path: hashlib.md5(path.read_bytes()) for path in (IMAGES, LABELS)}
    lines = [f"{digest.hexdigest()}  {path.name}\n" for path, digest in digests.items()]
    CHECKSUMS.write_text("".join(lines))


def test_split_comes_back_as_it_was_written(written: Split) -> None:
    read = splits.read_split(splits.VAL)

    assert read.images.shape == (12, 28, 28, 1)
    assert read.images.dtype == read.labels.dtype == np.uint8
    assert read.images.tobytes() == written.images.tobytes()
    assert read.labels.tolist() == written.labels.tolist()


@pytest.mark.usefixtures("written")
def test_split_is_mapped_into_memory_and_cannot_be_changed() -> None:
    for array in splits.read_split(splits.VAL):
        assert isinstance(array, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_chosen_images_are_the_same_from_the_file_a_part_of_it_and_memory(written: Split) -> None:
    mapped = splits.read_split(splits.VAL).images
    chosen = np.array([11, 0, 7, 7])

    assert splits.take_images(mapped, chosen).tobytes() == written.images[chosen].tobytes()
    assert (
        splits.take_images(mapped[1:], chosen[1:]).tobytes() == written.images[[1, 8, 8]].tobytes()
    )
    assert splits.take_images(written.images, chosen).tobytes() == written.images[chosen].tobytes()


def test_images_are_those_of_the_file_that_was_checked(written: Split) -> None:
    images = splits.read_split(splits.VAL).images
    splits.write_split(splits.VAL, make_split(12, seed=1))
    chosen = np.array([11])
    assert splits.take_images(images, chosen).tobytes() == written.images[chosen].tobytes()


@pytest.mark.usefixtures("written")
def test_file_that_was_cut_is_named() -> None:
    images = splits.read_split(splits.VAL).images
    os.truncate(IMAGES, IMAGES.stat().st_size - 1)
    with pytest.raises(
        DataError, match=r"val_images\.npy: is truncated; `dvc repro` makes it again"
    ):
        splits.take_images(images, np.array([11]))


@pytest.mark.usefixtures("written")
def test_split_is_three_files() -> None:
    found = sorted(path for path in Path().rglob("*") if path.is_file())

    assert found == [CHECKSUMS, IMAGES, LABELS]


def test_splits_do_not_touch_each_other(written: Split) -> None:
    for seed, name in enumerate(("train", "test"), start=1):
        splits.write_split(splits.SPLITS[name], make_split(5, seed))

    for path in splits.TEST:
        path.write_bytes(b"damaged")

    assert splits.read_split(splits.VAL).images.tobytes() == written.images.tobytes()
    assert splits.read_split(splits.TRAIN).labels.tolist() == make_split(5, 1).labels.tolist()


def test_split_replaces_an_older_one(written: Split) -> None:
    splits.write_split(splits.VAL, make_split(3, seed=1))

    assert len(written.labels) == 12
    assert splits.read_split(splits.VAL).labels.tolist() == make_split(3, seed=1).labels.tolist()


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("path", [IMAGES, LABELS, CHECKSUMS])
def test_missing_file_is_named(path: Path) -> None:
    path.unlink()

    message = refusal()

    assert (
        message.removesuffix(f"; {REMEDY}") == f"{path}: cannot be read: No such file or directory"
    )


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    "path",
    [IMAGES, LABELS, CHECKSUMS],
)
def test_message_about_a_missing_file_says_what_to_do(path: Path) -> None:
    path.unlink()

    assert refusal().endswith(f"; {REMEDY}")


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("path", [IMAGES, LABELS])
def test_empty_or_cut_file_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for size in (0, 100, len(content) - 1):
        path.write_bytes(content[:size])

        assert refusal() == damaged(path)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("path", [IMAGES, LABELS])
def test_one_changed_bit_is_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[(128 + len(content)) // 2] ^= 1  # in the middle of the data, after the header
    path.write_bytes(content)

    assert refusal() == damaged(path)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("path", [IMAGES, LABELS])
def test_trailing_byte_is_refused(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")

    assert refusal() == damaged(path)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("path", [IMAGES, LABELS])
def test_garbage_is_refused(path: Path) -> None:
    path.write_bytes(b"<html>502 Bad Gateway</html>\xff\xfe")

    assert refusal() == damaged(path)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0", b"d41d8cd98f00b204e9800998ecf8427e"])
def test_checksums_that_prove_nothing_are_refused(content: bytes) -> None:
    CHECKSUMS.write_bytes(content)

    assert refusal() == damaged(IMAGES)


@pytest.mark.usefixtures("written")
def test_images_and_labels_that_changed_places_are_refused() -> None:
    content = IMAGES.read_bytes()
    LABELS.replace(IMAGES)
    LABELS.write_bytes(content)

    assert refusal() == damaged(IMAGES)


@pytest.mark.usefixtures("written")
def test_labels_of_another_split_are_refused() -> None:
    splits.write_split(splits.TEST, make_split(12, seed=1))
    shutil.copy(splits.TEST.labels, LABELS)

    assert refusal() == damaged(LABELS)


class Trap:
    """Makes the folder `sprung` when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.mkdir, (Path("sprung"),)  # type: ignore[return-value]


def trap() -> npt.NDArray[np.object_]:
    return np.array([Trap()], dtype=object)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("path", [IMAGES, LABELS])
def test_pickled_objects_are_refused_and_never_unpickled(path: Path) -> None:
    np.save(path, trap(), allow_pickle=True)

    assert refusal() == damaged(path)
    assert not Path("sprung").exists()


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("path", [IMAGES, LABELS])
def test_pickled_objects_are_not_unpickled_either_where_checksums_fit(path: Path) -> None:
    np.save(path, trap(), allow_pickle=True)
    prove()

    with pytest.raises((DataError, ValueError)):
        splits.read_split(splits.VAL)
    assert not Path("sprung").exists()

    np.load(path, allow_pickle=True)
    assert Path("sprung").exists()  # so it was a trap


@pytest.mark.skipif(shutil.which("md5sum") is None, reason="there is no md5sum")
@pytest.mark.usefixtures("written")
def test_checksums_can_be_checked_by_md5sum() -> None:
    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["md5sum", "-c", "val.md5"],
            cwd=CHECKSUMS.parent,
            env=os.environ | {"LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )

    good = check()
    assert good.stdout == "val_images.npy: OK\nval_labels.npy: OK\n"
    assert (good.returncode, good.stderr) == (0, "")

    with LABELS.open("ab") as file:
        file.write(b"\0")
    bad = check()
    assert bad.returncode == 1
    assert "val_labels.npy: FAILED" in bad.stdout
