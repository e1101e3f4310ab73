"""The params of the network, and those that training and evaluation share."""

from typing import Annotated

from pydantic import Field

from pipeline.core.params import Count, Fraction, Strict


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


class RuntimeParams(Strict):
    """How TensorFlow runs, in training and in evaluation: a part of the section `train`."""

    threads: int = Field(ge=1, le=1024)
    """Threads of one TensorFlow operation; another count sums in another order: other bits."""
