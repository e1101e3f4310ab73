"""What Git knows; where it could not be asked, that is an error and never an answer."""

import os
import subprocess
from pathlib import Path, PurePosixPath

from pipeline.core.errors import PipelineError
from pipeline.core.files import list_files

ROOT = Path(os.environ.get("DVC_ROOT") or ".").resolve()  # also in DVC's temporary copies
REGULAR = ("100644", "100755")  # modes of files, not of links
# What a user may have set otherwise, and would change what is read here.
SETTINGS = {
    "color.ui": "false",
    "core.quotePath": "false",
    "i18n.logOutputEncoding": "UTF-8",
    "log.follow": "false",
    "log.showSignature": "false",
    "status.showUntrackedFiles": "normal",
}
NO_REPOSITORY = "not a git repository"
# Of what Git refuses without one, by a part of its words.
REMEDIES = {
    "index file": "remove .git/index, and `git reset` rebuilds it from the last commit",
    NO_REPOSITORY: "work in a clone of the project, or `git init` and commit it",
    "promisor remote": "this clone is partial: clone it without --filter, or reach its remote",
}


class GitError(PipelineError):
    """Git could not be asked, or refuses to answer."""


def git(*arguments: str, none: int = 0) -> str:
    """Return what a Git command prints, without white space around it.

    Args:
        arguments: of the command.
        none: the exit code that says that there is no such thing, which is an answer.

    Raises:
        GitError: the command fails otherwise, or there is no Git.
    """
    # Names may be in any encoding.
    return _run(*arguments, none=none).decode(errors="replace").strip()


def resolve(revision: str) -> str:
    """Return the hash of the commit that a revision names, or nothing where there is none.

    Raises:
        GitError: Git cannot tell.
    """
    arguments = ("--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return git("rev-parse", *arguments, none=1)


def read(commit: str, path: Path) -> str:
    """Return the text of a file of a commit, without white space around it; nothing without one.

    Raises:
        GitError: Git cannot tell.
    """
    entry = git("ls-tree", commit, "--", path.as_posix())
    return git("cat-file", "blob", entry.split()[2]) if entry.startswith(REGULAR) else ""


def is_in_repository() -> bool:
    """Tell whether the current folder is in a repository.

    Raises:
        GitError: Git cannot tell.
    """
    try:
        git("rev-parse", "--git-dir")
    except GitError as error:
        if NO_REPOSITORY in str(error):
            return False
        raise
    return True


def untracked(path: Path) -> list[Path]:
    """Return what is at a path and not in Git, ignored or not: files, and folders as a whole.

    Raises:
        GitError: Git cannot tell.
    """
    return [Path(name) for name in _list("--others", "--directory", "--", str(path))]


def untracked_files(*paths: str) -> list[str]:
    """Return the files at or below paths that DVC counts, but that a clone would not have.

    Raises:
        GitError: Git cannot tell.
    """
    counted = {*map(str, list_files(map(Path, paths)))}
    return [name for name in _list("--others", "--", *paths) if name in counted]


def tracked(path: Path) -> list[Path]:
    """Return the files at or below a path that Git tracks and that are there.

    Raises:
        GitError: Git cannot tell.
    """
    return [Path(name) for name in _list("--", str(path)) if Path(name).is_file()]


def extract(commit: str, folder: Path, *paths: str) -> None:
    """Write those of the files in `paths` that a commit has into a folder, byte for byte.

    `git archive` would convert line ends, and leave out what `.gitattributes` says.

    Raises:
        GitError: Git has not all of them.
    """
    blobs = {}
    for line in _names(_run("ls-tree", "-r", "-z", commit, "--", *paths)):
        about, _, name = line.partition("\t")
        if about.startswith(REGULAR) and ".." not in PurePosixPath(name).parts:
            blobs[name] = about.split()[2]
    content = _run("cat-file", "--batch", given="".join(f"{blob}\n" for blob in blobs.values()))
    start = 0
    for name, blob in blobs.items():
        end = content.index(b"\n", start)  # of a line with hash, type and size
        _, kind, *size = content[start:end].split()
        if kind != b"blob":
            raise GitError(f"Git: {name} of commit {commit[:7]}, object {blob}, is missing")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        start, end = end + 1, end + 1 + int(size[0])
        path.write_bytes(content[start:end])
        start = end + 1  # after a newline


def _list(*arguments: str) -> list[str]:
    return _names(_run("ls-files", "-z", *arguments))


def _names(listed: bytes) -> list[str]:
    return [name for name in listed.decode(errors="surrogateescape").split("\0") if name]


def _run(*arguments: str, given: str = "", none: int = 0) -> bytes:
    settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    command = ["git", "--no-optional-locks", *settings, *arguments]
    try:
        result = subprocess.run(  # noqa: S603
            command,
            input=given.encode(),
            env=os.environ | {"LC_ALL": "C"},
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise GitError(f"Git: cannot be run: {error.strerror}; install it") from error
    if result.returncode and result.returncode != none:
        raise _refusal(arguments[0], result)
    return result.stdout


def _refusal(command: str, result: "subprocess.CompletedProcess[bytes]") -> GitError:
    """Return the error that has Git's words, and the remedy where they have none."""
    words = " ".join(result.stderr.decode(errors="replace").replace("fatal: ", "").split())
    remedy = next((f"; {text}" for part, text in REMEDIES.items() if part in words), "")
    return GitError(f"Git: {words or f'`git {command}` fails ({result.returncode})'}{remedy}")
