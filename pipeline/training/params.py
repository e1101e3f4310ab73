"""The params of `train`."""

from typing import Literal, Protocol

from pydantic import Field

from pipeline.core.params import Count, Fraction, Sections, Strict
from pipeline.model.params import ModelParams, RuntimeParams


class AugmentationParams(Strict):
    """How far training images are moved at random, up to these bounds either way; 0: not at all.

    Attributes:
        rotation: in degrees.
        shift: along each axis, as a fraction of the image's side.
        zoom: along each axis, as a fraction: 0.1 enlarges or shrinks by up to a tenth.
    """

    rotation: float = Field(ge=0, le=180)
    shift: Fraction
    zoom: Fraction


class TrainParams(RuntimeParams):
    """How the network is trained.

    Attributes:
        label_smoothing: share of the target that is spread evenly over all classes.
        early_stopping_patience: epochs without improvement before training stops; null: never.
        workers: processes that train together, each with its share of every batch; another number
            sums in another order: other bits.
    """

    epochs: Count
    batch_size: Count
    optimizer: Literal["adam", "sgd", "rmsprop", "adamw"]
    learning_rate: float = Field(gt=0)
    learning_rate_schedule: Literal["constant", "cosine"]
    label_smoothing: Fraction
    early_stopping_patience: Count | None
    seed: int = Field(ge=0, le=2**32 - 1)  # what NumPy takes
    workers: int = Field(ge=1, le=1024)


class TrainingSections(Sections):
    """What `train` reads."""

    model: ModelParams
    augmentation: AugmentationParams
    train: TrainParams


class TrainingParams(Protocol):
    """What decides a training: `TrainingSections`, or all params, which have these too."""

    @property
    def model(self) -> ModelParams: ...  # noqa: D102

    @property
    def augmentation(self) -> AugmentationParams: ...  # noqa: D102

    @property
    def train(self) -> TrainParams: ...  # noqa: D102
