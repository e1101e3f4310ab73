"""Whether what was committed comes out again on this machine."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.provenance.cached_files import digest
from pipeline.provenance.spread import Spread
from pipeline.provenance.state import STATE_ID
from pipeline.review.report_error import ReportError
from pipeline.review.revision import Revision
from pipeline.review.verdict import LEVEL, SEEDS_COMMAND, same_images
from pipeline.statistics import paired
from pipeline.statistics.significance import between_runs


@dataclass(frozen=True)
class Reproduction:
    """What a `dvc repro` of a commit gave here.

    Attributes:
        text: the result in words.
        exact: whether every output has the same bytes.
        refuted: whether the metrics differ by more than seeds do, so that the committed ones are
            not what this code gives.
    """

    text: str
    exact: bool = False
    refuted: bool = False


def check_reproduction(committed: Revision, here: Revision, spread: Spread | None) -> Reproduction:
    """Compare what is committed with what came out here, on perhaps another kind of processor.

    Args:
        committed: the state of the commit.
        here: that of the working tree, after `dvc repro`.
        spread: the spread over seeds by which other bits are judged; None where it is unknown.

    Raises:
        ReportError: `dvc repro` has not run.
    """
    if digest(Path(), STATE_ID) != here.made.get(str(STATE_ID)):
        raise ReportError(f"--reproduced: `dvc repro` has not made {STATE_ID} here")
    if committed.made == here.made:
        return Reproduction("`dvc repro` gave the committed bytes on this machine.", exact=True)
    old, new = committed.evaluation, here.evaluation
    text = (
        f"`dvc repro` gave other bits on this machine (test accuracy {new.accuracy:.4f} instead of "
        f"{old.accuracy:.4f}"
    )
    if same_images(committed, here):
        pairs = paired.compare(committed.errors, here.errors)
        text += f"; {pairs.fixed} images right and {pairs.broken} wrong that were not"
    text += ")"
    if spread is None:
        return Reproduction(
            f"{text}. Processors differ, and so may bits; whether by more than seeds do is not "
            f"known: `{SEEDS_COMMAND}` tells."
        )
    difference = between_runs(old.accuracy, new.accuracy, spread.accuracies, 1 - LEVEL)
    if difference.p_value < LEVEL:
        return Reproduction(
            f"{text}. That is more than another seed does (p = {difference.p_value:.2g}): the "
            "committed metrics are not what this code gives.",
            refuted=True,
        )
    return Reproduction(f"{text}. That is no more than another seed does; processors differ.")
