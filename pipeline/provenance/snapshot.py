"""One state of the pipeline, as the working tree or a commit has it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core import files
from pipeline.core.errors import DataError
from pipeline.core.params import flatten
from pipeline.core.splits import TEST
from pipeline.model.paths import MODEL
from pipeline.provenance import state
from pipeline.provenance.origin import Origin, present_origin
from pipeline.provenance.params import Params
from pipeline.provenance.recorded import read_recorded
from pipeline.provenance.results import list_results
from pipeline.provenance.state import STATE_ID
from pipeline.provenance.truth import require_true


@dataclass(frozen=True)
class Snapshot:
    """One state of the pipeline, and where its files are.

    Attributes:
        params: by their dotted names.
        digests: MD5 of each of `state.STATE_FILES`.
        results: files of `metrics/` that Git keeps, but for figures.
        folder: that `metrics/` is in.
        model: the model's file; None where it is not to be had.
        test_images: their file; None where it is not to be had.
        origin: where the state comes from.
    """

    params: Mapping[str, object]
    digests: Mapping[Path, str]
    results: Sequence[Path]
    folder: Path
    model: Path | None
    test_images: Path | None
    origin: Origin

    @property
    def is_present(self) -> bool:
        """Whether it lies in the working tree."""
        return self.folder == Path()

    @property
    def state_id(self) -> str:
        """The id of the state."""
        return state.combine(self.params, self.digests)

    @property
    def training_id(self) -> str:
        """The id of what its training was given."""
        given = {path: self.digests[path] for path in state.TRAINING_FILES}
        return state.combine(self.params, given)


def present_snapshot(params: Params) -> Snapshot:
    """Return the state that lies in the working tree.

    While DVC runs a stage, what it runs is not noted yet.

    Raises:
        DataError: a file of it cannot be read, or params and outputs do not belong together.
        FalseStateError: its stages were not run as it is noted.
    """
    snapshot = Snapshot(
        params=flatten(params),
        digests={path: files.md5(path) for path in state.STATE_FILES},
        results=list_results(Path()),
        folder=Path(),
        model=MODEL,
        test_images=TEST.images,
        origin=present_origin(params),
    )
    if files.read_text(STATE_ID, str.strip) != snapshot.state_id:
        raise DataError(
            "params and outputs do not belong together; `dvc repro` makes what these params give, "
            "`git checkout` and `dvc checkout` bring back what was"
        )
    running = os.environ.get("DVC_STAGE", "").rpartition(":")[2]
    require_true(read_recorded(Path()), running=running, cloned=False)
    return snapshot
