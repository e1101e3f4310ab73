"""Fetching data that is not in Git: whole and with the published checksums, or not at all."""

import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from pipeline import fetch
from pipeline.core.errors import DataError
from pipeline.provenance.git import untracked
from tests.conftest import Clone

NAMES = [
    f"{split}-{kind}-ubyte.gz"
    for split in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
]


def published(name: str) -> bytes:
    """What the authors have: compressed by `gzip`, which keeps name and time of the file."""
    compressed = gzip.compress(name.encode() * 50, mtime=fetch.COMPRESSED_AT[name.split("-")[0]])
    fast, unix = b"\0", b"\3"
    stored = name.removesuffix(".gz").encode() + b"\0"
    return compressed[:3] + b"\x08" + compressed[4:8] + fast + unix + stored + compressed[10:]


def packaged(name: str) -> bytes:
    """What Debian's package has: the same, compressed with `gzip -n` at another time."""
    return gzip.compress(name.encode() * 50, mtime=1577716461)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set whose files are not there; no Debian package is installed."""
    monkeypatch.setattr(fetch, "DEBIAN", tmp_path / "debian")
    folder = tmp_path / "raw" / "clothes"
    folder.mkdir(parents=True)
    lines = [f"{hashlib.md5(published(name)).hexdigest()}  clothes/{name}\n" for name in NAMES]
    folder.with_name("clothes.md5").write_text("".join(lines))
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine: its address, and the folder with the files that it has."""
    root = tmp_path / "www"
    root.mkdir()
    for name in NAMES:
        (root / name).write_bytes(published(name))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(root))
    ) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_address[1]}", root
        web.shutdown()


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_come_from_a_server(folder: Path, server: tuple[str, Path]) -> None:
    url, _ = server

    message = fetch.fetch(folder, f"{url}/")

    assert content_of(folder) == {name: published(name) for name in NAMES}
    assert message == f"{folder}: got 4 files from {url}, with the published checksums"


def test_files_of_the_package_become_those_of_the_authors(folder: Path) -> None:
    fetch.DEBIAN.mkdir()
    for name in NAMES:
        (fetch.DEBIAN / name).write_bytes(packaged(name))
        assert packaged(name) != published(name)

    fetch.fetch(folder, None)

    assert content_of(folder) == {name: published(name) for name in NAMES}


def test_only_what_is_missing_or_damaged_is_fetched(folder: Path, server: tuple[str, Path]) -> None:
    url, root = server
    first, second, *others = NAMES
    (folder / first).write_bytes(published(first))
    (folder / second).write_bytes(published(second)[:-1])
    (root / first).unlink()

    assert "got 3 files" in fetch.fetch(folder, url)

    assert content_of(folder) == {name: published(name) for name in NAMES}
    for name in (second, *others):
        (root / name).unlink()
    assert fetch.fetch(folder, url) == f"{folder}: has all 4 files"


def test_another_checksum_than_was_published_leaves_nothing(
    folder: Path, server: tuple[str, Path]
) -> None:
    url, root = server
    (root / NAMES[3]).write_bytes(b"<html>Not here</html>")

    with pytest.raises(DataError) as caught:
        fetch.fetch(folder, url)

    found = hashlib.md5(b"<html>Not here</html>").hexdigest()
    expected = hashlib.md5(published(NAMES[3])).hexdigest()
    assert str(caught.value) == (
        f"{url}/{NAMES[3]}: its MD5 is {found}, but {expected} was published; nothing was kept. "
        "--url names another source"
    )
    assert content_of(folder) == {}


def test_package_that_was_changed_leaves_nothing(folder: Path) -> None:
    fetch.DEBIAN.mkdir()
    for name in NAMES:
        (fetch.DEBIAN / name).write_bytes(gzip.compress(b"other"))

    with pytest.raises(DataError, match="was published; nothing was kept"):
        fetch.fetch(folder, None)

    assert content_of(folder) == {}


def test_server_without_the_file_is_told(folder: Path, server: tuple[str, Path]) -> None:
    url, root = server
    (root / NAMES[0]).unlink()

    with pytest.raises(DataError, match=r"cannot be fetched .*; without a network, `apt install"):
        fetch.fetch(folder, url)

    assert content_of(folder) == {}


def test_damaged_checksums_are_told(folder: Path) -> None:
    folder.with_name("clothes.md5").write_text("no checksum\n")

    with pytest.raises(DataError, match=r"clothes.md5: is damaged: 'no checksum'"):
        fetch.fetch(folder, None)


def test_what_git_does_not_have_is_untracked(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone.path)
    raw = Path("data/raw")
    (raw / "fashion-mnist" / NAMES[0]).touch()  # which Git ignores
    (raw / "own/train/a").mkdir(parents=True)
    (raw / "own/train/a/1.png").touch()

    assert untracked(raw / "mnist") == untracked(raw / "none") == []
    assert untracked(raw / "fashion-mnist") == [raw / "fashion-mnist" / NAMES[0]]
    assert untracked(raw / "own") == [raw / "own"]
