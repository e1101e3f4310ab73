"""Whether the working tree is what the pipeline makes of it."""

from collections.abc import Mapping, Sequence

from dvc.exceptions import DvcException
from dvc.repo import Repo

from pipeline.core.errors import PipelineError

SHOWN = 3  # names in a message


def require_reproduced(remedy: str) -> None:
    """Check that `dvc repro` would have nothing to do.

    Raises:
        PipelineError: it would, or DVC cannot tell; the message names the stages and the remedy.
    """
    _require(remedy, None)


def require_prepared(remedy: str) -> None:
    """Check that `dvc repro prepare` would have nothing to do.

    Raises:
        PipelineError: likewise.
    """
    _require(remedy, ["prepare"])


def _require(remedy: str, targets: list[str] | None) -> None:
    try:
        repo = Repo()
        stale = repo.status(targets)
        outputs = {str(output) for output in repo.index.outs}
    except DvcException as error:
        raise PipelineError(f"DVC: {error}") from error
    changes = [change for found in stale.values() for change in found]
    if changes and all(isinstance(c, dict) and _paths_in(c) <= outputs for c in changes):
        remedy = "`dvc checkout` brings back what it has; where that is not in the cache, " + remedy
    if stale:
        raise PipelineError(f"DVC: not as dvc.lock has it: {shorten(list(stale))}; {remedy}")


def _paths_in(change: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Return what differs, by its path, of a change such as `changed deps`."""
    return {path for paths in change.values() for path in paths}


def shorten(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
