"""What Git knows."""

import os
import subprocess
from pathlib import Path, PurePosixPath

ROOT = Path(os.environ.get("DVC_ROOT") or ".").resolve()  # also in DVC's temporary copies
REGULAR = ("100644", "100755")  # modes of files, not of links


def git(*arguments: str) -> str:
    """Return what a Git command prints, or nothing where it fails: without commits, or Git."""
    return _run(*arguments).decode(errors="replace").strip()  # names may be in any encoding


def resolve(revision: str) -> str:
    """Return the hash of the commit that a revision names, or nothing where there is none."""
    return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")


def untracked(path: Path) -> list[Path]:
    """Return what is at a path and not in Git, ignored or not: files, and folders as a whole."""
    listed = _run("ls-files", "--others", "--directory", "-z", "--", str(path))
    return [Path(name) for name in listed.decode(errors="surrogateescape").split("\0") if name]


def untracked_files(*paths: str) -> list[str]:
    """Return the files at or below paths that are not in Git, ignored or not."""
    listed = _run("ls-files", "--others", "-z", "--", *paths)
    return [name for name in listed.decode(errors="surrogateescape").split("\0") if name]


def tracked(path: Path) -> list[Path]:
    """Return the files at or below a path that Git tracks and that are there."""
    listed = _run("ls-files", "-z", "--", str(path)).decode(errors="surrogateescape")
    return [Path(name) for name in listed.split("\0") if name and Path(name).is_file()]


def extract(commit: str, folder: Path, *paths: str) -> None:
    """Write those of the files in `paths` that a commit has into a folder, byte for byte.

    `git archive` would convert line ends, and leave out what `.gitattributes` says.
    """
    blobs = {}
    for line in _run("ls-tree", "-r", "-z", commit, "--", *paths).decode().split("\0"):
        about, _, name = line.partition("\t")
        if about.startswith(REGULAR) and ".." not in PurePosixPath(name).parts:
            blobs[name] = about.split()[2]
    content = _run("cat-file", "--batch", given="".join(f"{blob}\n" for blob in blobs.values()))
    start = 0
    for name in blobs:
        end = content.index(b"\n", start)  # of a line with hash, type and size
        size = int(content[start:end].split()[2])
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content[end + 1 : end + 1 + size])
        start = end + 2 + size  # and a newline


def _run(*arguments: str, given: str = "") -> bytes:
    command = ["git", "--no-optional-locks", *arguments]
    try:
        result = subprocess.run(  # noqa: S603
            command, input=given.encode(), capture_output=True, check=False
        )
    except OSError:
        return b""
    return b"" if result.returncode else result.stdout
