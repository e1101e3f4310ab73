"""The params of `train`."""

from typing import Literal, Protocol

from pydantic import Field

from pipeline.core.params import Count, Fraction, Sections, Strict, neutral
from pipeline.model.params import ModelParams, Precision, RuntimeParams


class AugmentationParams(Strict):
    """How far training images are moved at random, up to these bounds either way; 0: not at all."""

    rotation: float = Field(ge=0, le=180)
    """Largest rotation, in degrees."""
    shift: Fraction
    """Largest shift along each axis, as a fraction of the image's side."""
    zoom: Fraction
    """Largest zoom along each axis, as a fraction: 0.1 enlarges or shrinks by up to a tenth."""


class TrainParams(RuntimeParams):
    """How the network is trained."""

    epochs: int = Field(ge=1, le=100_000)  # a checkpoint has room for all
    """Passes over the training images."""
    batch_size: Count
    """Images in a step, over all workers."""
    optimizer: Literal["adam", "sgd", "rmsprop", "adamw"]
    """Keras's optimizer of that name; other settings than those below are its defaults."""
    learning_rate: float = Field(gt=0)
    """Initial learning rate."""
    learning_rate_schedule: Literal["constant", "cosine"]
    """`cosine` lowers the learning rate to 0 over all steps."""
    weight_decay: float = neutral(0.004, ge=0)
    """Of `adamw` only: a step shrinks each weight by this fraction times the learning rate."""
    label_smoothing: Fraction
    """Fraction of the target spread evenly over all classes."""
    early_stopping_patience: Count | None
    """Epochs without a lower validation loss before training stops and the best weights are
    restored; null: never."""
    seed: int = Field(ge=0, le=2**32 - 1)  # what NumPy takes
    """Seed for all random numbers."""
    workers: int = Field(ge=1, le=1024)
    """Processes that train together, each with its share of every batch; another number gives other
    bits."""
    precision: Precision = neutral("float32")
    """Precision of training and validation. `mixed_bfloat16` computes all but the last layer and
    the loss in bfloat16, faster on processors with instructions for it; weights and saved model
    stay float32.
    """


class TrainingSections(Sections):
    """What `train` reads."""

    model: ModelParams
    augmentation: AugmentationParams
    train: TrainParams


class TrainingParams(Protocol):
    """What decides a training run: `TrainingSections`, or all params, which have these too."""

    @property
    def model(self) -> ModelParams: ...  # noqa: D102

    @property
    def augmentation(self) -> AugmentationParams: ...  # noqa: D102

    @property
    def train(self) -> TrainParams: ...  # noqa: D102
