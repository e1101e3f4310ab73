"""The params of the network, and those that training and evaluation share."""

from typing import Annotated

from pydantic import Field

from pipeline.core.params import Count, Fraction, Strict


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


class RuntimeParams(Strict):
    """How TensorFlow runs, in training and in evaluation: a part of the section `train`.

    Attributes:
        threads: of TensorFlow's operations; another count sums in another order: other bits.
    """

    threads: int = Field(ge=1, le=1024)
