"""Fetch a raw data set that is not in Git: Fashion-MNIST, from Debian's package or its authors.

Debian has compressed the same bytes in the same way, but without file name and time, which the
headers of its gzip files therefore lack. Put back, they make the very files that the authors
publish checksums of. So it does not matter where the files come from: `dvc.lock` has the same.
"""

import argparse
import hashlib
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from pipeline.core import files, stage
from pipeline.core.errors import DataError
from pipeline.core.package import command
from pipeline.data.checksums import read_checksums
from pipeline.data.paths import RAW

# H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
# learning algorithms" (2017); addresses and checksums are in the authors' README.
FASHION_MNIST = "fashion-mnist"
AUTHORS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
PACKAGE = "dataset-fashion-mnist"
COMPRESSED_AT = {"train": 1504176606, "t10k": 1504176627}  # by the authors, in s since 1970
HEADER_SIZE = 10  # of a gzip file without a name


def fetch(folder: Path, url: str | None) -> str:
    """Get the files of a data set that are not there, all or none, and say where from.

    Args:
        folder: that they belong in.
        url: of the folder to get them from; None: from Debian's package if it is installed, else
            from the authors.

    Raises:
        DataError: one cannot be had, or has another checksum than was published.
    """
    published = read_checksums(folder)
    missing = {
        name: md5
        for name, md5 in published.items()
        if not (folder / name).exists() or files.md5(folder / name) != md5
    }
    if not missing:
        return f"{folder}: has all {len(published)} files"
    offline = url is None and DEBIAN.is_dir()
    source = str(DEBIAN) if offline else (url or AUTHORS).rstrip("/")
    read: Callable[[str, str], bytes] = _read_debian if offline else _import
    contents = {name: read(source, name) for name in missing}
    for name, content in contents.items():
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != missing[name]:
            raise DataError(
                f"{source}/{name}: its MD5 is {found}, but {missing[name]} was published; nothing "
                "was kept. --url names another source"
            )
    for name, content in contents.items():
        files.write_bytes(folder / name, content)
    return f"{folder}: got {len(contents)} files from {source}, with the published checksums"


def _import(url: str, name: str) -> bytes:
    """Download a file with `dvc import-url`, into a repository of its own.

    Here, it would leave a `.dvc` file: in Git, `dvc status` would tell everybody that the data is
    missing; and DVC refuses to have Git ignore it.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        try:
            with Repo.init(folder, no_scm=True) as repo:
                repo.imp_url(f"{url}/{name}", out=str(path))
            return path.read_bytes()
        except (DvcException, OSError) as error:
            raise DataError(
                f"{url}/{name}: cannot be fetched ({error}); without a network, "
                f"`apt install {PACKAGE}` brings the data"
            ) from error


def _read_debian(folder: str, name: str) -> bytes:
    """Return a file as its authors compressed it, with name and time in its header (RFC 1952)."""
    path = Path(folder, name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}; `apt reinstall {PACKAGE}`"
        ) from error
    has_name, fast, unix = 8, 0, 3
    time = COMPRESSED_AT[name.partition("-")[0]]
    header = struct.pack("<2sBBIBB", b"\x1f\x8b", 8, has_name, time, fast, unix)
    return header + name.removesuffix(".gz").encode() + b"\0" + content[HEADER_SIZE:]


def main() -> None:
    """Fetch the data set, and say what was done."""
    parser = argparse.ArgumentParser(
        prog=command("fetch"), description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("dataset", choices=[FASHION_MNIST])
    parser.add_argument(
        "--url", help="folder to get the files from, with dvc import-url (default: see above)"
    )
    args = parser.parse_args()
    print(fetch(RAW / args.dataset, args.url))


if __name__ == "__main__":
    stage.run(main)
