"""The params of `prepare`."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.params import CountOrAll, Sections, Strict, neutral

Side = Annotated[int, Field(ge=1, le=4096)]


class PrepareParams(Strict):
    """Which images are used, always the first ones of a split."""

    dataset: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    """Name of the folder in `data/raw`; not a path, so nothing outside is read."""
    image_size: Annotated[list[Side], Field(min_length=2, max_length=2)] | None
    """Height and width in pixels to resize images to; null: they stay as they are."""
    train_samples: CountOrAll
    """Number of training images; all: those that validation leaves."""
    val_samples: CountOrAll
    """Number of validation images; all: those that training leaves, or the whole raw test split."""
    val_from: Literal["train", "test"]
    """The raw split to validate on: `train`, after the training images, or `test`, whose images
    then leak into every choice made by their scores."""
    test_samples: CountOrAll
    """Number of test images; all: the whole raw test split."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] | None = neutral(None)
    """Fraction of each class that tests, where raw data is one folder of class folders; null: it
    has folders `train` and `test`, or is in another layout that has both splits."""


class PrepareSections(Sections):
    """What `prepare` reads."""

    prepare: PrepareParams
