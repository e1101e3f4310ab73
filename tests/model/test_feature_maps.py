"""Tests of the sizes of feature maps, and of what is said where nothing is left of the image."""

from collections.abc import Sequence

import pytest

from pipeline.model.feature_maps import feature_map_size
from pipeline.model.params import ModelParams
from pipeline.provenance.params import load_params
from tests.conftest import FROZEN

SMALLER = "use fewer layers or a smaller kernel_size"


def make(
    conv_blocks: list[list[int]],
    kernel_size: int,
    residual: bool = False,
    dense_units: Sequence[int] = (),
) -> ModelParams:
    return load_params(FROZEN["params.yaml"]).model.model_copy(
        update={
            "conv_blocks": conv_blocks,
            "kernel_size": kernel_size,
            "dense_units": [*dense_units],
            "residual": residual,
        }
    )


@pytest.mark.parametrize(
    ("conv_blocks", "kernel_size", "side"),
    [
        ([[32, 64, 128]], 3, 11),  # (28 - 3 * 2) / 2
        ([[1] * 13], 3, 1),  # 28, less 13 times 2, is 2, which is pooled to 1
        ([[1], [1], [1]], 3, 1),  # (28 - 2) / 2 = 13, (13 - 2) // 2 = 5, (5 - 2) // 2 = 1
        ([[1]], 27, 1),
        ([[1] * 99] * 4, 1, 1),  # 14, 7, 3, 1
        ([], 29, 28),
    ],
)
def test_size_for_square_images(conv_blocks: list[list[int]], kernel_size: int, side: int) -> None:
    assert feature_map_size(make(conv_blocks, kernel_size), 28, 28) == (side, side)


def test_height_and_width_are_told_apart() -> None:
    # (32 - 4) / 2 = 14, (14 - 8) / 2 = 3; (48 - 4) / 2 = 22, (22 - 8) / 2 = 7
    assert feature_map_size(make([[32], [64, 64]], 5), 32, 48) == (3, 7)


@pytest.mark.parametrize(
    ("conv_blocks", "kernel_size", "layer"),
    [
        ([[1] * 14], 3, "layer 14 of block 1"),
        ([[1], [1], [1], [1]], 3, "layer 1 of block 4"),
        ([[1], [1] * 6], 3, "the pooling of block 2"),  # 13 - 6 * 2 = 1 is left for it
        ([[1]], 28, "the pooling of block 1"),
        ([[1]], 29, "layer 1 of block 1"),
        ([[1] * 28], 2, "layer 28 of block 1"),
    ],
)
def test_network_must_leave_something_of_the_image(
    conv_blocks: list[list[int]], kernel_size: int, layer: str
) -> None:
    with pytest.raises(ValueError, match=layer) as caught:
        feature_map_size(make(conv_blocks, kernel_size), 28, 28)
    assert str(caught.value) == (
        f"model.conv_blocks: {layer} leaves nothing of images of 28x28 pixels; {SMALLER}"
    )


def test_the_shorter_side_decides() -> None:
    with pytest.raises(ValueError, match="layer 2 of block 1 leaves nothing of images of 99x4 "):
        feature_map_size(make([[1, 1]], 3), 99, 4)


def test_remedy_does_not_ask_for_a_smaller_kernel_than_one_pixel() -> None:
    with pytest.raises(ValueError, match=r"the pooling of block 5 .*; use fewer blocks$"):
        feature_map_size(make([[1]] * 5, 1), 28, 28)


def test_padded_convolutions_of_residual_blocks_keep_the_size() -> None:
    assert feature_map_size(make([[8] * 20, [8] * 20], 5, residual=True), 28, 30) == (7, 7)
    with pytest.raises(ValueError, match=r"the pooling of block 5 .*; use fewer blocks$"):
        feature_map_size(make([[1]] * 5, 3, residual=True), 28, 28)
