"""The params of `prepare`."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.params import Count, Sections, Strict

Side = Annotated[int, Field(ge=1, le=4096)]


class PrepareParams(Strict):
    """Which images are used, always the first ones of a split.

    Attributes:
        dataset: name of the folder in `data/raw`; not a path, so nothing outside is read.
        image_size: height and width in pixels to resize images to; null: they stay as they are.
        val_from: the raw split to validate on: `train`, after the training images, or `test`,
            whose images then leak into every choice made by their scores.
    """

    dataset: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    image_size: Annotated[list[Side], Field(min_length=2, max_length=2)] | None
    train_samples: Count
    val_samples: Count
    val_from: Literal["train", "test"]
    test_samples: Count


class PrepareSections(Sections):
    """What `prepare` reads."""

    prepare: PrepareParams
