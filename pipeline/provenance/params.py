"""The schema of `params.yaml`, which alone says what a run used: code holds no defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.core import params_faults, params_file
from pipeline.core.errors import ParamsError
from pipeline.model.feature_maps import feature_map_size
from pipeline.paths import PARAMS

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]  # TensorFlow's sizes are 32-bit in places
Side = Annotated[int, Field(ge=1, le=4096)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Strict(BaseModel):
    """A schema that takes what it is given as it is, and nothing else."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


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


class ModelParams(Strict):
    """The network's architecture.

    Attributes:
        conv_blocks: for each block the filter counts of its convolutions, which a 2x2 max
            pooling follows: `[[32, 64], [128]]` is two convolutions, pooling, one convolution,
            pooling; `[]` is a fully connected network.
        kernel_size: side of the convolutions' square kernels, in pixels.
    """

    conv_blocks: list[Annotated[list[Count], Field(min_length=1)]]
    kernel_size: Count
    dense_units: list[Count]
    dropout: Fraction
    batch_norm: bool


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


class TrainParams(Strict):
    """How the network is trained.

    Attributes:
        label_smoothing: share of the target that is spread evenly over all classes.
        early_stopping_patience: epochs without improvement before training stops; null: never.
        threads: of TensorFlow's operations; another count sums in another order: other bits.
        workers: processes that train together, each with its share of every batch; likewise.
    """

    epochs: Count
    batch_size: Count
    optimizer: Literal["adam", "sgd", "rmsprop", "adamw"]
    learning_rate: float = Field(gt=0)
    learning_rate_schedule: Literal["constant", "cosine"]
    label_smoothing: Fraction
    early_stopping_patience: Count | None
    seed: int = Field(ge=0, le=2**32 - 1)  # what NumPy takes
    threads: int = Field(ge=1, le=1024)
    workers: int = Field(ge=1, le=1024)


class EvaluateParams(Strict):
    """How results are judged and shown.

    Attributes:
        images: numbers of the test images to follow through the network; null: the first of
            each class.
        confidence: level of the intervals, such as 0.95.
    """

    images: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None
    confidence: float = Field(gt=0, lt=1)

    @field_validator("images")
    @classmethod
    def _images_are_distinct(cls, images: list[int] | None) -> list[int] | None:
        if images is not None and len(set(images)) < len(images):
            raise ValueError(f"must not name an image twice, got {images}")
        return images


class Params(Strict):
    """All of `params.yaml`."""

    prepare: PrepareParams
    model: ModelParams
    augmentation: AugmentationParams
    train: TrainParams
    evaluate: EvaluateParams

    @model_validator(mode="after")
    def _network_fits_resized_images(self) -> Self:
        if self.prepare.image_size:
            height, width = self.prepare.image_size
            feature_map_size(self.model.conv_blocks, self.model.kernel_size, height, width)
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
    def _images_are_test_images(self) -> Self:
        count = self.prepare.test_samples
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
    try:
        return Params.model_validate(params_file.read_mapping(path))
    except ValidationError as error:
        faults = (params_faults.describe(fault, Params) for fault in error.errors())
        raise ParamsError("\n".join(f"{path}: {fault}" for fault in faults)) from None


def unflatten(flat: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the sections of params that are given by their dotted names."""
    sections: dict[str, dict[str, Any]] = {}
    for name, value in flat.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = value
    return sections


def flatten(params: Params) -> dict[str, Any]:
    """Return each parameter's value by its dotted name, such as `train.epochs`."""
    sections = params.model_dump().items()
    return {f"{section}.{key}": value for section, keys in sections for key, value in keys.items()}
