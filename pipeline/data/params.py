"""The params of `prepare`."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.params import Count, Sections, Strict

Side = Annotated[int, Field(ge=1, le=4096)]


class PrepareParams(Strict):
    """Which images are used, always the first ones of a split."""

    dataset: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    """Name of the folder in `data/raw`; not a path, so nothing outside is read."""
    image_size: Annotated[list[Side], Field(min_length=2, max_length=2)] | None
    """Height and width in pixels to resize images to; null: they stay as they are."""
    train_samples: Count
    """Number of training images."""
    val_samples: Count
    """Number of validation images."""
    val_from: Literal["train", "test"]
    """The raw split to validate on: `train`, after the training images, or `test`, whose images
    then leak into every choice made by their scores."""
    test_samples: Count
    """Number of test images."""


class PrepareSections(Sections):
    """What `prepare` reads."""

    prepare: PrepareParams
