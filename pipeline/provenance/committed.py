"""The states that were committed, read from Git and DVC's cache."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pipeline.core.errors import DataError, PipelineError
from pipeline.core.params import PARAMS
from pipeline.core.splits import TEST
from pipeline.evaluation.paths import ERRORS, EVALUATION
from pipeline.figures.paths import NETWORK_PICTURES
from pipeline.model.paths import MODEL
from pipeline.provenance import state
from pipeline.provenance.cached_files import CachePath, find_cached, link_cached_folder
from pipeline.provenance.commits import (
    Commit,
    branches_by_commit,
    commit_at,
    commits_with,
    experiments,
)
from pipeline.provenance.git import extract
from pipeline.provenance.origin import (
    Origin,
    describe_changes,
    params_at,
    parent_of,
)
from pipeline.provenance.paths import LOCK, METRICS
from pipeline.provenance.recorded import FILES, read_recorded
from pipeline.provenance.results import list_results
from pipeline.provenance.snapshot import Snapshot
from pipeline.provenance.truth import FalseStateError, find_edited, require_true
from pipeline.training.paths import HISTORY

MADE = [str(PARAMS), str(LOCK), str(METRICS)]


class NoState(NamedTuple):
    """A commit whose files are no state, and why."""

    commit: str
    error: DataError


def committed_snapshots(faults: list[NoState]) -> Iterator[Snapshot]:
    """Yield the state of each commit on a branch, and of each DVC experiment, the oldest first.

    The files of a state are there until the next one is asked for. Commits whose params, lock and
    metrics do not belong together have no state, and are noted in `faults`.
    """
    branches = branches_by_commit()
    tried = list(experiments())
    with _cache() as cache_path:
        read = partial(_read_all, branches=branches, cache_path=cache_path)
        names = {s.state_id: s.origin.experiment for s in read(tried, faults=[])}
        for snapshot in read(commits_with(MADE), faults=faults):
            # What was kept of an experiment keeps its name.
            name = names.get(snapshot.state_id, "")
            yield replace(snapshot, origin=replace(snapshot.origin, experiment=name))
        yield from read(tried, faults=faults)


def experiment_snapshots(name: str, faults: list[NoState]) -> Iterator[Snapshot]:
    """Yield the state of each DVC experiment of that name: one for each commit it is based on.

    The files of a state are there until the next one is asked for. Those that hold no state are
    noted in `faults`.
    """
    named = [commit for commit in experiments() if commit.experiment == name]
    if named:
        with _cache() as cache_path:
            yield from _read_all(named, faults, branches_by_commit(), cache_path)


@contextmanager
def snapshot_at(commit: str) -> Iterator[Snapshot]:
    """Give the state of a commit; its files are there until the block ends.

    Raises:
        DataError: the commit has none.
    """
    faults: list[NoState] = []
    with _cache() as cache_path:
        for snapshot in _read_all([commit_at(commit)], faults, branches_by_commit(), cache_path):
            yield snapshot
            return
    why = f": {faults[0].error}" if faults else ", as it has no results"
    raise DataError(f"commit {commit[:7]} holds no state{why}")


@contextmanager
def _cache() -> Iterator[CachePath]:
    """Give the function that tells where DVC's cache has a file.

    Raises:
        PipelineError: DVC cannot tell.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo  # takes half a second

    try:
        with Repo() as repo:
            yield repo.cache.local.oid_to_path
    except DvcException as error:
        raise PipelineError(f"DVC: {error}") from error


def _read_all(
    commits: Iterable[Commit],
    faults: list[NoState],
    branches: Mapping[str, str],
    cache_path: CachePath,
) -> Iterator[Snapshot]:
    for commit in commits:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            extract(commit.sha, folder, *map(str, FILES))
            if not all((folder / path).exists() for path in MADE):
                continue  # nothing was reproduced yet
            try:
                yield _read(commit, branches, folder, cache_path)
            except DataError as error:
                faults.append(NoState(commit.sha, error))


def _read(
    commit: Commit, branches: Mapping[str, str], folder: Path, cache_path: CachePath
) -> Snapshot:
    recorded = read_recorded(folder)
    made, params = recorded.made, recorded.params
    results = list_results(folder)
    for path in sorted({*results, HISTORY, EVALUATION, ERRORS}):  # the run reads these three
        if not (folder / path).is_file():
            raise DataError(f"{path} is missing")
    if not recorded.state_id or "prepare.dataset" not in params:
        raise DataError(f"{LOCK} belongs to another pipeline")
    require_true(recorded, whole=not commit.experiment)
    if edited := find_edited(recorded):
        raise FalseStateError(edited, recorded.state_id)
    digests = {path: made[str(path)] for path in state.STATE_FILES}
    parent = parent_of(commit.sha)
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

    if pictures := made.get(str(NETWORK_PICTURES)):
        link_cached_folder(folder / NETWORK_PICTURES, pictures, cache_path)
    model, test_images = (find_cached(digests[path], cache_path) for path in (MODEL, TEST.images))
    return Snapshot(params, digests, results, folder, model, test_images, origin)
