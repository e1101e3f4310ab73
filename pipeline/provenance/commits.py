"""Which commits there are, on branches and as DVC experiments."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.provenance.git import git, resolve

EXPERIMENT_REF = re.compile(r"refs/exps/\w{2}/\w{38}/(.+)")
FORMAT = "--format=%H%x09%ct%x09%an"
REF_FORMAT = "--format=%(objectname)%09%(committerdate:unix)%09%(authorname)%09%(refname)"


class Commit(NamedTuple):
    """A commit, and the DVC experiment that it is the result of, if any."""

    sha: str
    seconds: int
    author: str
    experiment: str = ""


def commits_with(paths: Sequence[str]) -> Iterator[Commit]:
    """Yield the commits that change one of `paths`, the oldest first."""
    head = resolve("HEAD")  # none on a branch without commits
    log = git(
        *("log", "--full-history", "--topo-order", "--reverse", FORMAT),
        *("--branches", "--tags", "--remotes", *head.split(), "--", *paths),
    )
    for line in log.splitlines():
        yield _parse(line)


def commit_at(revision: str) -> Commit:
    """Return the commit that a revision, which there is, names."""
    return _parse(git("log", "-1", FORMAT, revision))


def _parse(line: str) -> Commit:
    sha, seconds, author = line.split("\t", maxsplit=2)
    return Commit(sha, int(seconds), author)


def experiments() -> Iterator[Commit]:
    """Yield the results of the DVC experiments."""
    for line in git("for-each-ref", REF_FORMAT, "refs/exps").splitlines():
        commit, _, ref = line.rpartition("\t")
        if match := EXPERIMENT_REF.fullmatch(ref):
            yield _parse(commit)._replace(experiment=match[1])


def find_commit(revision: str) -> str:
    """Return the hash of the commit that Git or, else, a DVC experiment calls so; or nothing.

    Of several experiments of one name, on other commits, it is the latest.
    """
    if commit := resolve(revision):
        return commit
    named = (found for found in experiments() if found.experiment == revision)
    latest = max(named, key=lambda found: found.seconds, default=None)
    return latest.sha if latest else ""


def is_shared(commit: str) -> bool:
    """Tell whether a branch or tag holds a commit, as none does that of an experiment."""
    refs = ("refs/heads", "refs/remotes", "refs/tags")
    return bool(git("for-each-ref", "--count=1", "--contains", commit, *refs))


def branches_by_commit() -> dict[str, str]:
    """Return the branch of each commit: the one it was made on, as far as Git can tell."""
    refs = git(
        *("for-each-ref", "--sort=committerdate", "refs/heads", "refs/remotes"),
        "--format=%(refname)",
    ).splitlines()
    refs = [ref for ref in refs if not ref.endswith("/HEAD")]
    # `main` first: commits before a fork are on both branches, and belong to the trunk.
    refs.sort(key=lambda ref: (not ref.endswith(("/main", "/master")), "/remotes/" in ref))
    branches: dict[str, str] = {}
    for first_parent in (["--first-parent"], []):  # what was merged is on its own branch first
        for ref in refs:
            name = re.sub("refs/(heads|remotes/[^/]+)/", "", ref)
            for sha in git("rev-list", *first_parent, ref).splitlines():
                branches.setdefault(sha, name)
    return branches
