"""The params of the network, and those that training and evaluation share."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.params import Count, Fraction, Strict, neutral

Precision = Literal["float32", "mixed_bfloat16"]  # Keras's names


class ModelParams(Strict):
    """The network's architecture."""

    conv_blocks: list[Annotated[list[Count], Field(min_length=1)]]
    """Filter counts of the convolutions of each block, which ends with 2x2 max pooling:
    `[[32, 64], [128]]` is two convolutions, pooling, one convolution, pooling; `[]` is a fully
    connected network."""
    kernel_size: Count
    """Side of the convolutions' square kernels, in pixels."""
    dense_units: list[Count]
    """Units of each dense layer between the convolutions and the output."""
    dropout: Fraction
    """Fraction of the inputs of dense layers, except raw pixels, that training drops."""
    batch_norm: bool
    """Whether each layer is normalized before its ReLU."""
    batch_norm_momentum: Fraction = neutral(0.9)
    """Momentum of batch norm's moving statistics. Keras's default, 0.99, needs hundreds of batches
    to forget the initial ones."""
    residual: bool = neutral(False)
    """Whether a shortcut adds each block's input to the output of its last convolution, before the
    ReLU, through a 1x1 convolution where filter counts differ; convolutions are then padded."""

    @property
    def padding(self) -> Literal["same", "valid"]:
        """`same` where convolutions keep the size of their input, as a shortcut needs."""
        return "same" if self.residual else "valid"


class RuntimeParams(Strict):
    """How TensorFlow runs, in training and in evaluation: a part of the section `train`."""

    threads: int = Field(ge=1, le=1024)
    """Threads of one TensorFlow operation; another count sums in another order: other bits."""
