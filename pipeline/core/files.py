"""Write files whole or not at all, and say plainly what is wrong with those that are read."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pathspec import GitIgnoreSpec

from pipeline.core.arrays import ByteArray, LabelArray, chunks
from pipeline.core.errors import DataError, PipelineError

IGNORED = Path(".dvcignore")
REMEDY = "`dvc repro` makes it again"
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows
Parsed = TypeVar("Parsed")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path whose file takes the place of `path` when the block ends well.

    The name is always the same and ends like `path`: what a killed stage leaves is overwritten
    by the next one, and libraries that go by the ending are content.

    Raises:
        PipelineError: it cannot be written, for example because the disk is full.
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        raise PipelineError(
            f"{path}: cannot be written: {error.strerror or error}; no partial file is left"
        ) from error
    finally:
        with suppress(OSError):  # it is in place, or there is no such folder to write to
            partial.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`, whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with the line ends it has, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write `values` as indented JSON that ends with a newline."""
    write_text(path, json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_array(path: Path, array: ByteArray | LabelArray) -> None:
    """Write `array` as a plain `.npy` file, which can be memory-mapped."""
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
    with replacing(path) as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        # NumPy itself would not notice that the last bytes do not fit on the disk.
        for part in chunks(array):
            file.write(part.tobytes())


def pack(entries: Mapping[str, bytes]) -> bytes:
    """Return a zip archive with these files: same files, same bytes, whatever Python it is."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, entry in entries.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), entry)
    return content.getvalue()


def pack_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return what an `.npz` file with these arrays holds: same values, same bytes."""
    entries = {}
    for name, array in arrays.items():
        content = io.BytesIO()
        np.save(content, array, allow_pickle=False)
        entries[f"{name}.npy"] = content.getvalue()
    return pack(entries)


def read_text(path: Path, parse: Callable[[str], Parsed]) -> Parsed:
    """Read a text file of the pipeline, of which every line ends, as what `parse` makes of it.

    Raises:
        DataError: the file cannot be read, or is not whole.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ValueError("its last line is truncated" if text else "it is empty")
        return parse(text)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; {REMEDY}") from error
    except ValueError as error:  # also of bytes that are not UTF-8, and of pandas and json
        raise DataError(f"{path}: is damaged ({error}); {remedy_for(path)}") from error


def remedy_for(path: Path) -> str:
    """Say what makes a damaged output whole again.

    `dvc repro` does, but not where DVC's cache has the damage, too: DVC believes the name of an
    object whose time has not changed.
    """
    digest = noted_outputs().get(path.as_posix(), "")
    cached = Path(".dvc/cache/files/md5", digest[:2], digest[2:])
    if cached.is_file() and md5(cached) != digest:
        return (
            f"what DVC's cache has of it is damaged, too: `rm -f {path} {cached}`, and "
            "`dvc repro` makes both again"
        )
    return REMEDY


def noted_outputs() -> dict[str, str]:
    """Return the MD5 of each output that `dvc.lock` has, by its path."""
    from ruamel.yaml import YAML

    lock = Path("dvc.lock")
    stages = YAML(typ="safe").load(lock)["stages"].values() if lock.is_file() else ()
    return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", ())}


def list_files(paths: Iterable[Path], root: Path = Path()) -> list[Path]:
    """Return the files among paths, and those below folders that DVC counts, in order.

    Args:
        paths: of files and folders, below `root`.
        root: that has the `.dvcignore`.
    """
    file = root / IGNORED
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    ignored = GitIgnoreSpec.from_lines(lines)
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            below = (one for one in path.rglob("*") if one.is_file())
            found.update(one for one in below if not ignored.match_file(one.relative_to(root)))
        else:
            found.add(path)
    return sorted(found)


def md5(path: Path) -> str:
    """Return the MD5 of a file's content, which is also what DVC calls it by.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; {REMEDY}") from error
