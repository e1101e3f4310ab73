"""How much memory the training of a network takes at the least."""

from collections.abc import Iterable
from pathlib import Path

import psutil

from pipeline.model.feature_maps import feature_map_size
from pipeline.model.params import ModelParams, Precision

FLOAT = 4  # bytes
VALUE: dict[Precision, int] = {"float32": FLOAT, "mixed_bfloat16": 2}  # of what a layer computes
COPIES = 2  # of each weight: itself and its gradient; most optimizers keep more
MAX_LAYERS = 1000  # more take minutes to build, and Python's stack
# Where a container finds its own limit: with cgroups of version 2, and of version 1.
CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def machine_bytes(limits: Iterable[Path] = CONTAINER_LIMITS) -> int:
    """Return the memory of this machine, or of the container that this is.

    Args:
        limits: the files that hold the container's limit in bytes, or a word where it has none.
    """
    found = [path.read_text().strip() for path in limits if path.is_file()]
    return min([psutil.virtual_memory().total, *(int(text) for text in found if text.isdecimal())])


def training_bytes(
    params: ModelParams,
    image_shape: tuple[int, int, int],
    classes: int,
    batch_size: int,
    precision: Precision = "float32",
) -> int:
    """Return a lower bound: weights, their gradients, and what a batch leaves for the gradients.

    Biases, batch norm, shortcuts and the optimizer are left out.

    Args:
        params: of the network.
        image_shape: height, width and channels of the images.
        classes: their number.
        batch_size: images in a step.
        precision: of what layers compute; weights are float32.

    Raises:
        ValueError: nothing is left of the images.
    """
    height, width, channels = image_shape
    rows, columns = feature_map_size(params, height, width)
    lost = params.kernel_size - 1 if params.padding == "valid" else 0
    weights = values = 0
    for filter_counts in params.conv_blocks:
        for filters in filter_counts:
            height, width = height - lost, width - lost
            weights += params.kernel_size**2 * channels * filters
            values += height * width * filters
            channels = filters
        height, width = height // 2, width // 2
    units = rows * columns * channels
    for count in [*params.dense_units, classes]:
        weights += units * count
        values += count
        units = count
    return COPIES * FLOAT * weights + VALUE[precision] * batch_size * values


def require_room(
    params: ModelParams,
    image_shape: tuple[int, int, int],
    classes: int,
    batch_size: int,
    memory: int,
    precision: Precision = "float32",
) -> None:
    """Check that a network can be trained in so many bytes of memory; see `training_bytes`.

    Raises:
        ValueError: it cannot, or nothing is left of the images, or it has too many layers.
    """
    layers = sum(map(len, params.conv_blocks)) + len(params.dense_units)
    if layers > MAX_LAYERS:
        raise ValueError(f"model: has {layers:,} layers, at most {MAX_LAYERS:,} are allowed")
    needed = training_bytes(params, image_shape, classes, batch_size, precision)
    if needed > memory:
        raise ValueError(
            f"model: training takes at least {needed / 1e9:,.1f} GB of memory, and this machine "
            f"has {memory / 1e9:,.1f}; use fewer filters or units, or a smaller train.batch_size"
        )
