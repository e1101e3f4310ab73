"""How large the feature maps of a network are."""

from pipeline.model.params import ModelParams


def feature_map_size(params: ModelParams, height: int, width: int) -> tuple[int, int]:
    """Return height and width, in pixels, of what the last block makes of images.

    Pooling drops an odd last row and column.

    Raises:
        ValueError: nothing is left; the message says after which layer, and what to do.
    """
    lost = params.kernel_size - 1 if params.padding == "valid" else 0  # by each convolution
    remedy = "use fewer layers or a smaller kernel_size" if lost else "use fewer blocks"
    rows, columns = height, width
    for block, filters in enumerate(params.conv_blocks, start=1):
        for layer in [*(f"layer {n}" for n in range(1, len(filters) + 1)), "the pooling"]:
            if layer == "the pooling":
                rows, columns = rows // 2, columns // 2
            else:
                rows, columns = rows - lost, columns - lost
            if min(rows, columns) < 1:
                raise ValueError(
                    f"model.conv_blocks: {layer} of block {block} leaves nothing of "
                    f"images of {height}x{width} pixels; {remedy}"
                )
    return rows, columns
