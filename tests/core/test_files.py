"""Files are written whole or not at all, and those that cannot be used are named."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.core import files
from pipeline.core.errors import DataError, PipelineError

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    """Names of all that is in `folder`, hidden or not."""
    return sorted(path.name for path in folder.iterdir())


def test_file_takes_the_place_of_the_old_one_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_text("old")

    with files.replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"

    assert path.read_text() == "new"
    assert names(tmp_path) == ["model.keras"]


def test_temporary_path_ends_alike_and_lies_in_the_same_folder(tmp_path: Path) -> None:
    path = tmp_path / "model.tar.keras"

    with files.replacing(path) as partial:
        partial.touch()
        assert partial != path
        assert partial.parent == path.parent  # else a rename may cross file systems
        assert partial.suffixes == [".tar", ".keras"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(143)])
def test_block_that_raises_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "model.keras"
    path.write_text("old")

    def write_half() -> None:
        with files.replacing(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(type(error)) as caught:
        write_half()

    assert caught.value is error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["model.keras"]


def test_block_that_raises_leaves_nothing_where_nothing_was(tmp_path: Path) -> None:
    def write_half() -> None:
        with files.replacing(tmp_path / "new") as partial:
            partial.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()

    assert names(tmp_path) == []


def test_what_a_killed_stage_left_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with files.replacing(path) as partial:
        partial.write_text("half of a longer text that was never finished")
        left = partial.rename(tmp_path / "kept")
        partial.write_text("{}")
    left.rename(partial)
    assert len(names(tmp_path)) == 2

    files.write_text(path, "[]")

    assert path.read_text() == "[]"
    assert names(tmp_path) == ["a.json"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "figures" / "loss.png"

    files.write_bytes(path, b"\x89PNG")

    assert path.read_bytes() == b"\x89PNG"
    assert names(path.parent) == ["loss.png"]


def test_text_is_utf_8_with_the_line_ends_it_has(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a.csv", "é\r\n1\n")

    assert (tmp_path / "a.csv").read_bytes() == b"\xc3\xa9\r\n1\n"


def test_json_is_indented_in_the_given_order_and_ends_with_a_newline(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": 0.5, "a": {"1": 2}})

    text = (tmp_path / "a.json").read_text()
    assert text == '{\n  "b": 0.5,\n  "a": {\n    "1": 2\n  }\n}\n'
    assert json.loads(text) == {"b": 0.5, "a": {"1": 2}}


def test_array_can_be_mapped_into_memory_without_pickle(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)

    files.write_array(tmp_path / "a.npy", array)

    mapped = np.load(tmp_path / "a.npy", mmap_mode="r", allow_pickle=False)
    assert isinstance(mapped, np.memmap)
    assert mapped.dtype == np.uint8
    assert mapped.tolist() == array.tolist()
    assert names(tmp_path) == ["a.npy"]


def test_view_of_an_array_is_written_as_it_looks(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(4, 6)[1:, ::2]

    files.write_array(tmp_path / "a.npy", array)

    assert np.load(tmp_path / "a.npy").tolist() == [[6, 8, 10], [12, 14, 16], [18, 20, 22]]


def test_same_array_gives_the_same_bytes_however_it_lies_in_memory(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 12)

    files.write_array(tmp_path / "a.npy", array)
    files.write_array(tmp_path / "b.npy", np.repeat(array, 2, axis=1)[:, ::2])

    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_fault_of_the_file_system_names_the_file_and_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail() -> None:
        with files.replacing(path) as partial:
            partial.write_text("half")
            raise OSError(28, "No space left on device", str(partial))

    with pytest.raises(PipelineError) as caught:
        fail()

    assert str(caught.value).startswith(f"{path}: cannot be written: No space left on device")
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_fault_without_a_number_is_told_in_its_own_words(tmp_path: Path) -> None:
    def fail() -> None:
        with files.replacing(tmp_path / "a"):
            raise OSError("5000 requested and 872 written")

    with pytest.raises(PipelineError) as caught:
        fail()

    fault = "cannot be written: 5000 requested and 872 written"
    assert str(caught.value).startswith(f"{tmp_path / 'a'}: {fault}")


def test_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.mkdir()

    with pytest.raises(PipelineError) as caught:
        files.write_json(path, {})

    assert str(caught.value).startswith(f"{path}: cannot be written: Is a directory")
    assert names(tmp_path) == ["a.json"]


def test_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "a.json"
    path.parent.touch()

    with pytest.raises(PipelineError) as caught:
        files.write_json(path, {})

    assert str(caught.value).startswith(f"{path}: cannot be written: ")


def test_fault_is_told_where_not_even_the_temporary_file_can_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)  # also of a file that is not there

    with pytest.raises(PipelineError) as caught:
        files.write_bytes(tmp_path / "a", b"")

    fault = "cannot be written: Read-only file system"
    assert str(caught.value).startswith(f"{tmp_path / 'a'}: {fault}")


# A limit on the size of files fails like a full disk, in the middle of what is written.
FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from pipeline.core import files
from pipeline.core.errors import PipelineError

path, size = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    if path.suffix == ".npy":
        files.write_array(path, np.zeros(size, np.uint8))
    else:
        files.write_bytes(path, bytes(size))
except PipelineError as error:
    print(error)
"""


def write_on_full_disk(path: Path, size: int) -> str:
    """Write `size` bytes where there is room for 1,000, and return the message."""
    pytest.importorskip("resource")
    command = [sys.executable, "-c", FULL, str(path), str(size)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stderr == ""
    return result.stdout


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("a.bin", 1001),
        ("a.bin", 100_000),
        ("a.npy", 900),  # with a header of 128 bytes
        ("a.npy", 4000),
        ("a.npy", 100_000),
    ],
)
def test_full_disk_is_told_and_leaves_the_old_file(tmp_path: Path, name: str, size: int) -> None:
    path = tmp_path / name
    path.write_text("old")

    message = write_on_full_disk(path, size)

    assert message.startswith(f"{path}: cannot be written: ")
    assert message.count("\n") == 1
    assert path.read_text() == "old"
    assert names(tmp_path) == [name]


@pytest.mark.parametrize(("name", "size"), [("a.bin", 1000), ("a.npy", 872)])
def test_disk_with_just_enough_room_will_do(tmp_path: Path, name: str, size: int) -> None:
    assert write_on_full_disk(tmp_path / name, size) == ""

    assert (tmp_path / name).stat().st_size == 1000


@pytest.mark.parametrize(
    ("content", "digest"),
    [  # RFC 1321, appendix A.5
        (b"", "d41d8cd98f00b204e9800998ecf8427e"),
        (b"message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        (b"1234567890" * 8, "57edf4a22be3c955ac49da2e2107b67a"),
    ],
)
def test_md5_is_the_published_one(tmp_path: Path, content: bytes, digest: str) -> None:
    (tmp_path / "a").write_bytes(content)

    assert files.md5(tmp_path / "a") == digest


def test_md5_of_a_long_file_is_of_all_of_it(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(3_000_001)
    (tmp_path / "a").write_bytes(content)

    assert files.md5(tmp_path / "a") == hashlib.md5(content).hexdigest()


def test_md5_names_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, fault in [
        (tmp_path / "a", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ]:
        with pytest.raises(DataError) as caught:
            files.md5(path)
        assert str(caught.value) == f"{path}: cannot be read: {fault}; `dvc repro` makes it again"


def test_archive_holds_nothing_but_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(files.pack({"b/c": b"1", "a": b""}))

    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"b/c": b"1", "a": b""}
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            # Where sizes may be large, versions of Python write other versions of the format.
            assert entry.extract_version == entry.create_version == 20
