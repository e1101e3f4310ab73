"""The params of the network, and those that training and evaluation share."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.params import Count, Fraction, Strict, neutral

Precision = Literal["float32", "mixed_bfloat16"]  # Keras's names


class ModelParams(Strict):
    """The network's architecture."""

    conv_blocks: list[Annotated[list[Count], Field(min_length=1)]]
    """For each block the filter counts of its convolutions, which a 2x2 max pooling follows:
    `[[32, 64], [128]]` is two convolutions, pooling, one convolution, pooling; `[]` is a fully
    connected network."""
    kernel_size: Count
    """Side of the convolutions' square kernels, in pixels."""
    dense_units: list[Count]
    """Units of each dense layer between the convolutions and the output."""
    dropout: Fraction
    """Share of the inputs of dense layers, raw pixels excepted, that training drops."""
    batch_norm: bool
    """Whether each layer is normalized before its ReLU."""
    batch_norm_momentum: Fraction = neutral(0.9)
    """Share of batch norm's moving statistics that a batch keeps. Keras's own 0.99 takes hundreds
    of batches to forget how the statistics began; 2,000 images in batches of 64 are 32 an epoch."""
    residual: bool = neutral(False)
    """Whether a shortcut adds the input of each block to the output of its last convolution, before
    the ReLU, through a 1x1 convolution where the filter counts differ; convolutions are then padded
    to keep the size of their input."""

    @property
    def padding(self) -> Literal["same", "valid"]:
        """`same` where convolutions keep the size of their input, as a shortcut needs."""
        return "same" if self.residual else "valid"


class RuntimeParams(Strict):
    """How TensorFlow runs, in training and in evaluation: a part of the section `train`."""

    threads: int = Field(ge=1, le=1024)
    """Threads of one TensorFlow operation; another count sums in another order: other bits."""
