"""The pictures beside a report: drawn into its folder, with the Markdown that shows them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core import files, splits
from pipeline.core.arrays import ByteArray
from pipeline.core.errors import DataError, PipelineError
from pipeline.data.dataset import read_dataset
from pipeline.data.paths import RAW
from pipeline.provenance.cached_files import digest
from pipeline.review import verdict
from pipeline.review.markdown import sentence
from pipeline.review.revision import Revision

CHANGED_IMAGES, CURVES = "changed_images.png", "training_curves.png"

# Of two states, the errors on the images that both were tested on, and these images.
ChangedImages = tuple[pd.DataFrame, pd.DataFrame, ByteArray]


def find_changed(
    old: Revision, new: Revision, judgement: verdict.Judgement
) -> ChangedImages | str | None:
    """Return what shows the images that changed, or why they cannot be shown; None without any."""
    if not judgement.pairs or not (judgement.pairs.fixed or judgement.pairs.broken):
        return None
    before, after = (verdict.first_errors(side, judgement.shared) for side in (old, new))
    try:
        return before, after, read_test_images(new)
    except DataError as error:  # the raw images need not be in Git
        return f"The images that changed cannot be shown: {sentence(str(error))}"


def draw(
    old: Revision, new: Revision, changed: ChangedImages | str | None, folder: Path
) -> Iterator[str]:
    """Draw the pictures into a folder, and yield the Markdown that shows them.

    Args:
        old: the base.
        new: the head.
        changed: as `find_changed` returns it.
        folder: for the files.

    Raises:
        PipelineError: the folder cannot be written.
    """
    # And with them matplotlib, for those who want pictures.
    from pipeline.figures import figure_style, picture_parts
    from pipeline.review import comparison_figures

    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CHANGED_IMAGES).unlink(missing_ok=True)  # of an earlier report
    except OSError as error:
        raise PipelineError(f"--output {folder}: cannot be written: {error.strerror}") from error
    yield "### Pictures"
    if isinstance(changed, tuple):
        *errors, images = changed
        classes = [*new.class_counts]
        before, after = (picture_parts.shorten_classes(side, classes) for side in errors)
        figure = comparison_figures.changed_images(before, after, images)
        files.write_bytes(folder / CHANGED_IMAGES, figure_style.to_png(figure))
        yield f"![Images that the change broke and fixed]({CHANGED_IMAGES})"
    elif changed:
        yield changed
    curves = comparison_figures.training_curves(old.history, new.history)
    files.write_bytes(folder / CURVES, figure_style.to_png(curves))
    yield f"![Training curves before and after]({CURVES})"


def read_test_images(revision: Revision) -> ByteArray:
    """Return the test images of the state.

    The prepared ones, if those that lie here are the state's; otherwise the first raw ones in
    Git, as the pipeline takes them.

    Raises:
        DataError: there are none, or too few.
    """
    prepared = splits.TEST.images
    if digest(Path(), prepared) == revision.test_digests[0]:
        return splits.read_split(splits.TEST).images
    folder = RAW / str(revision.params.get("prepare.dataset"))
    size: Any = revision.params.get("prepare.image_size")
    fraction: Any = revision.params.get("prepare.test_fraction")
    raw = read_dataset(revision.folder / folder, size, fraction).test
    samples = revision.evaluation.samples
    if len(raw) < samples:
        raise DataError(f"{folder}: has {len(raw)} test images")
    return raw.read(0, samples).images
