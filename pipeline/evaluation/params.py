"""The params of `evaluate`."""

from typing import Annotated

from pydantic import Field, field_validator

from pipeline.core.params import Sections, Strict
from pipeline.model.params import RuntimeParams


class EvaluateParams(Strict):
    """How results are judged and shown."""

    images: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None
    """Numbers of the test images to trace through the network; null: the first of each class."""
    confidence: float = Field(gt=0, le=0.999_999)  # nearer to 1, intervals are everything
    """Level of the intervals, such as 0.95."""

    @field_validator("images")
    @classmethod
    def _images_are_distinct(cls, images: list[int] | None) -> list[int] | None:
        if images is not None and len(set(images)) < len(images):
            raise ValueError(f"must not name an image twice, got {images}")
        return images


class EvaluationSections(Sections):
    """What `evaluate` reads."""

    evaluate: EvaluateParams
    train: RuntimeParams
