"""The params of `prepare`."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.params import CountOrAll, Sections, Strict, neutral

Side = Annotated[int, Field(ge=1, le=4096)]


class PrepareParams(Strict):
    """Which images are used: the first ones of a split."""

    dataset: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    """Name of a folder in `data/raw`, not a path."""
    image_size: Annotated[list[Side], Field(min_length=2, max_length=2)] | None
    """Height and width in pixels to resize images to; null: no resizing."""
    train_samples: CountOrAll
    """Number of training images; all: those that validation leaves."""
    val_samples: CountOrAll
    """Number of validation images; all: those that training leaves, or the whole raw test split."""
    val_from: Literal["train", "test"]
    """Raw split to validate on: `train`, after the training images, or `test`, whose images then
    leak into every choice."""
    test_samples: CountOrAll
    """Number of test images; all: the whole raw test split."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] | None = neutral(None)
    """Test fraction of each class, for class folders without `train` and `test`; null: the data has
    both splits."""


class PrepareSections(Sections):
    """What `prepare` reads."""

    prepare: PrepareParams
