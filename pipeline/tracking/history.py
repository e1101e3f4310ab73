"""The states that were committed, read from Git and DVC's cache."""

import re
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from pipeline import files, state
from pipeline.errors import DataError
from pipeline.git import git
from pipeline.paths import DATASET, ERRORS, EVALUATION, FIGURES, HISTORY, METRICS, MODEL, PARAMS
from pipeline.splits import array_paths
from pipeline.tracking.origin import (
    Origin,
    describe_changes,
    flatten_sections,
    params_at,
    parse_yaml,
)
from pipeline.tracking.snapshot import Snapshot

LOCK = Path("dvc.lock")
FILES = [str(PARAMS), str(LOCK), str(METRICS)]
EXPERIMENT_REF = re.compile(r"refs/exps/\w{2}/\w{38}/(.+)")
FORMAT = "--format=%H%x09%ct%x09%an"


class Commit(NamedTuple):
    """A commit, and the DVC experiment that it is the result of, if any."""

    sha: str
    seconds: int
    author: str
    experiment: str = ""


def committed_snapshots(faults: list[str]) -> Iterator[Snapshot]:
    """Yield the state of each commit on a branch, and of each DVC experiment, the oldest first.

    The files of a state are there until the next one is asked for. Commits whose params, lock and
    metrics do not belong together have no state, and are noted in `faults`.
    """
    from dvc.repo import Repo  # takes half a second

    branches = _branches_by_commit()
    experiments = list(_experiments())
    with Repo() as repo:
        read = partial(_read_all, branches=branches, cache_path=repo.cache.local.oid_to_path)
        names = {s.state_id: s.origin.experiment for s in read(experiments, faults=[])}
        for snapshot in read(_commits(), faults=faults):
            # What was kept of an experiment keeps its name.
            name = names.get(snapshot.state_id, "")
            yield replace(snapshot, origin=replace(snapshot.origin, experiment=name))
        yield from read(experiments, faults=faults)


def _read_all(
    commits: Iterable[Commit],
    faults: list[str],
    branches: Mapping[str, str],
    cache_path: Callable[[str], str],
) -> Iterator[Snapshot]:
    for commit in commits:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if not _extract(commit.sha, folder):
                continue  # nothing was reproduced yet
            try:
                yield _read(commit, branches, folder, cache_path)
            except DataError as error:
                faults.append(f"commit {commit.sha[:7]} holds no state: {error}")


def _commits() -> Iterator[Commit]:
    """Yield the commits that may have another state than the one before, the oldest first."""
    head = git("rev-parse", "--verify", "--quiet", "HEAD")  # none on a branch without commits
    log = git(
        *("log", "--full-history", "--topo-order", "--reverse", FORMAT),
        *("--branches", "--tags", "--remotes", *head.split(), "--", *FILES),
    )
    for line in log.splitlines():
        sha, seconds, author = line.split("\t", maxsplit=2)
        yield Commit(sha, int(seconds), author)


def _experiments() -> Iterator[Commit]:
    for ref in git("for-each-ref", "--format=%(refname)", "refs/exps").splitlines():
        match = EXPERIMENT_REF.fullmatch(ref)
        if match:
            sha, seconds, author = git("log", "-1", FORMAT, ref).split("\t", maxsplit=2)
            yield Commit(sha, int(seconds), author, match[1])


def _branches_by_commit() -> dict[str, str]:
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


def _extract(sha: str, folder: Path) -> bool:
    """Extract params, lock and metrics of a commit, if it has them."""
    command = ["git", "archive", "--format=tar", sha, *FILES]
    archive = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    if archive.returncode == 0:
        with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
            tar.extractall(folder, filter="data")
    return archive.returncode == 0


def _read(
    commit: Commit, branches: Mapping[str, str], folder: Path, cache_path: Callable[[str], str]
) -> Snapshot:
    plot = parse_yaml((folder / LOCK).read_text()).get("stages", {}).get("plot", {})
    params = flatten_sections(parse_yaml((folder / PARAMS).read_text()))
    if flatten_sections(plot.get("params", {}).get(str(PARAMS))) != params:
        raise DataError(f"{LOCK} does not match {PARAMS}")
    locked = {Path(dep["path"]): dep.get("md5") for dep in plot.get("deps", [])}
    if not (folder / FIGURES).is_dir() or not (folder / DATASET).is_file():
        raise DataError(f"{METRICS} is not complete")
    for path in (HISTORY, EVALUATION, ERRORS):
        if not (folder / path).is_file():
            raise DataError(f"{path} is missing")
        if files.md5(folder / path) != locked.get(path):
            raise DataError(f"{LOCK} does not match {path}")
    if not locked.keys() >= set(state.STATE_FILES) or "prepare.dataset" not in params:
        raise DataError(f"{LOCK} is that of another pipeline")
    digests = {path: str(locked[path]) for path in state.STATE_FILES}
    parent = git("rev-parse", "--verify", "--quiet", f"{commit.sha}~")
    base = parent if commit.experiment else commit.sha
    origin = Origin(
        commit=base,
        branch=branches.get(base, ""),
        uncommitted=bool(commit.experiment),
        experiment=commit.experiment,
        changes=describe_changes(params, params_at(parent)) if parent else "",
        seconds=commit.seconds,
        user=commit.author,
    )

    def cached(path: Path) -> Path | None:
        in_cache = Path(cache_path(digests[path]))
        return in_cache if in_cache.exists() and files.md5(in_cache) == digests[path] else None

    model, test_images = cached(MODEL), cached(array_paths("test")[0])
    return Snapshot(params, digests, folder, model, test_images, origin)
