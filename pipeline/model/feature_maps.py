"""How large the feature maps of a network are."""

from collections.abc import Sequence


def feature_map_size(
    conv_blocks: Sequence[Sequence[int]], kernel_size: int, height: int, width: int
) -> tuple[int, int]:
    """Return height and width, in pixels, of what the last block makes of images.

    Convolutions are unpadded, and pooling drops an odd last row and column.

    Raises:
        ValueError: nothing is left; the message says after which layer, and what to do.
    """
    remedy = "use fewer layers or a smaller kernel_size" if kernel_size > 1 else "use fewer blocks"
    rows, columns = height, width
    for block, filters in enumerate(conv_blocks, start=1):
        for layer in [*(f"layer {n}" for n in range(1, len(filters) + 1)), "the pooling"]:
            if layer == "the pooling":
                rows, columns = rows // 2, columns // 2
            else:
                rows, columns = rows - (kernel_size - 1), columns - (kernel_size - 1)
            if min(rows, columns) < 1:
                raise ValueError(
                    f"model.conv_blocks: {layer} of block {block} leaves nothing of "
                    f"images of {height}x{width} pixels; {remedy}"
                )
    return rows, columns
