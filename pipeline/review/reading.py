"""Read a state from Git or from the working tree, and refuse what does not belong together."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pipeline.core.errors import DataError
from pipeline.core.params import PARAMS
from pipeline.data.paths import DATASET
from pipeline.evaluation.paths import ERRORS, EVALUATION
from pipeline.provenance.commits import find_commit
from pipeline.provenance.git import extract, git, resolve
from pipeline.provenance.paths import SEEDS
from pipeline.provenance.recorded import FILES, read_file, read_recorded
from pipeline.provenance.results import list_results
from pipeline.provenance.spread import Spread, parse_spread
from pipeline.review.parsing import (
    ROUNDING,
    parse_errors,
    parse_evaluation,
    parse_history,
    parse_samples,
)
from pipeline.review.report_error import ReportError
from pipeline.review.revision import FORMER_PACKAGES, Revision
from pipeline.training.paths import HISTORY

READ = [*map(str, (*FILES, FORMER_PACKAGES))]
UNKNOWN = "Git knows no such commit, and DVC no such experiment"
UNSHALLOW = "; in this shallow clone, `git fetch --unshallow` may bring it"


def merge_base(revision: str) -> tuple[str, str]:
    """Return the commit at which a revision left `main`, and the name of that branch.

    A local `main` may be older than what was fetched of it: the later of their commits counts.

    Raises:
        ReportError: there is none.
    """
    head = find_commit(revision)
    if not head:
        raise ReportError(f"{revision}: {UNKNOWN}{_shallow()}")
    found: list[tuple[str, str]] = []
    for trunk in ("origin/main", "main"):
        commit = git("merge-base", head, trunk, none=1) if resolve(trunk) else ""
        if commit and (not found or git("merge-base", found[0][0], commit) == found[0][0]):
            found.insert(0, (commit, trunk))
    if not found:
        raise ReportError(
            f"no common commit with main or origin/main; name a BASE to compare with{_shallow()}"
        )
    return found[0]


@contextmanager
def at_commit(revision: str, branch: str = "") -> Iterator[Revision]:
    """Read the state of a commit; its files are there until the block ends.

    Args:
        revision: names the commit.
        branch: that the commit is of, where its name does not tell.

    Raises:
        ReportError: there is no such commit, or it has no metrics that can be compared.
    """
    commit = find_commit(revision)
    if not commit:
        raise ReportError(f"{revision or 'an empty name'}: {UNKNOWN}{_shallow()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        extract(commit, folder, *READ)
        called = branch or ("" if commit.startswith(revision) else revision)
        yield _read(f"{called} ({commit[:7]})".lstrip(), commit, folder)


def in_working_tree() -> Revision:
    """Read the state that lies in the working tree.

    Raises:
        ReportError: it has no metrics that can be compared.
    """
    if not PARAMS.exists():
        raise ReportError(f"there is no {PARAMS} here: go to the root of the project")
    commit = resolve("HEAD")
    if git("status", "--porcelain", "--", *READ):
        return _read("the working tree", "", Path())
    return _read(f"{git('branch', '--show-current') or 'HEAD'} ({commit[:7]})", commit, Path())


def _shallow() -> str:
    return UNSHALLOW if git("rev-parse", "--is-shallow-repository") == "true" else ""


def _read(name: str, commit: str, folder: Path) -> Revision:
    try:
        revision = _read_files(name, commit, folder)
    except DataError as error:
        raise ReportError(f"{name}: {error}") from error
    _check_seeds(revision.spread, revision)
    return revision


def _read_files(name: str, commit: str, folder: Path) -> Revision:
    read = partial(read_file, folder)
    class_counts, val_samples = read(DATASET, parse_samples)
    evaluation = read(EVALUATION, lambda text: parse_evaluation(text, class_counts))
    return Revision(
        **vars(read_recorded(folder)),
        name=name,
        commit=commit,
        evaluation=evaluation,
        results={
            path: read(path, json.loads)
            for path in list_results(folder)
            if path.suffix == ".json" and path not in {DATASET, EVALUATION}
            if (folder / path).is_file()  # if not, its stage has not run and is stale
        },
        errors=read(ERRORS, lambda text: parse_errors(text, evaluation, class_counts)),
        history=read(HISTORY, parse_history),
        class_counts=class_counts,
        val_samples=val_samples,
        recorded=read(SEEDS, parse_spread) if (folder / SEEDS).exists() else None,
    )


def _check_seeds(spread: Spread | None, revision: Revision) -> None:
    """Check that what was recorded of this very state is what its evaluation says.

    Raises:
        ReportError: it is not.
    """
    accuracy = revision.evaluation.accuracy
    for run in spread.runs if spread else ():
        if run.state == revision.state_id and abs(run.accuracy - accuracy) > ROUNDING:
            raise ReportError(
                f"{revision.name}: {SEEDS}: has accuracy {run.accuracy} for this state, but "
                f"{EVALUATION} has {accuracy}"
            )
