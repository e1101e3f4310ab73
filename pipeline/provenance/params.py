"""The check of all of `params.yaml`, also of what only several sections show together.

It refuses and changes nothing, so it is no dependency of the stages that ask it.
"""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from pipeline.core import params_file
from pipeline.core.params import PARAMS
from pipeline.core.stage import refuse_arguments
from pipeline.model.feature_maps import feature_map_size
from pipeline.provenance.copies import require_copies
from pipeline.provenance.git import ROOT
from pipeline.provenance.state import StateSections


class Params(StateSections):
    """All of `params.yaml`, checked."""

    @model_validator(mode="after")
    def _network_fits_resized_images(self) -> Self:
        if self.prepare.image_size:
            height, width = self.prepare.image_size
            feature_map_size(self.model, height, width)
        return self

    @model_validator(mode="after")
    def _each_worker_has_work(self) -> Self:
        if self.train.batch_size < self.train.workers:
            raise ValueError(
                f"train.batch_size: must be at least train.workers, {self.train.workers}, got "
                f"{self.train.batch_size}"
            )
        return self

    @model_validator(mode="after")
    def _images_are_left_for_each_split(self) -> Self:
        chosen = self.prepare
        if chosen.val_from == "train" and chosen.train_samples == chosen.val_samples == "all":
            raise ValueError(
                "prepare.val_samples: must be a number where prepare.train_samples is all, as both "
                "take images of the raw train split"
            )
        return self

    @model_validator(mode="after")
    def _images_are_test_images(self) -> Self:
        count = self.prepare.test_samples
        if count == "all":  # how many that is, only the data tells
            return self
        if beyond := [image for image in self.evaluate.images or [] if image >= count]:
            raise ValueError(
                f"evaluate.images: there is no test image {beyond[0]:,}; with {count:,} test "
                f"images, the last is {count - 1:,}"
            )
        return self


def load_params(path: Path = PARAMS) -> Params:
    """Read and check the whole file.

    Raises:
        ParamsError: with one line for each fault, in the schema's order.
    """
    return Params.check(params_file.read_mapping(path), str(path))


def check_start() -> None:
    """Check what a stage needs before it does any work; it takes no arguments.

    Raises:
        ParamsError: as `load_params` does.
        PipelineError: this is a copy, by `dvc exp run --temp` or `--queue`, of a clone from which
            DVC would lose the results.
    """
    refuse_arguments()
    load_params()
    if Path.cwd() != ROOT:
        require_copies()
