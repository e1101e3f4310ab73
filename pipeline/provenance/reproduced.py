"""Whether the working tree is what the pipeline makes of it."""

from collections.abc import Sequence

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
        stale = Repo().status(targets)
    except DvcException as error:
        raise PipelineError(f"DVC: {error}") from error
    if stale:
        raise PipelineError(f"DVC: not as dvc.lock has it: {shorten(list(stale))}; {remedy}")


def shorten(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
