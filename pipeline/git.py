"""What Git knows."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path


def git(*arguments: str) -> str:
    """Return what a Git command prints, or nothing where it fails: without commits, or Git."""
    return _run(*arguments).decode(errors="replace").strip()  # names may be in any encoding


def resolve(revision: str) -> str:
    """Return the hash of the commit that a revision names, or nothing where there is none."""
    return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")


def extract(commit: str, folder: Path, *paths: str) -> None:
    """Extract those of the paths that a commit has into a folder."""
    listed = git("ls-tree", "-z", "--name-only", commit, "--", *paths)
    there = [name for name in listed.split("\0") if name]
    archive = _run("archive", "--format=tar", commit, "--", *there) if there else b""
    if archive:
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")


def _run(*arguments: str) -> bytes:
    command = ["git", "--no-optional-locks", *arguments]
    try:
        result = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    except OSError:
        return b""
    return b"" if result.returncode else result.stdout
