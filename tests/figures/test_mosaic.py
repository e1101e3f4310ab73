"""Arrays become pictures whose every pixel is a whole square of dots."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pipeline.core.arrays import ByteArray
from pipeline.figures import mosaic

PALE = (0xE2, 0xE2, 0xE2)


def stack(count: int, height: int, width: int) -> ByteArray:
    random = np.random.default_rng(0)
    return random.integers(0, 200, (count, height, width, 3), dtype=np.uint8)


def test_grey_images_are_ink_on_paper_or_as_they_are() -> None:
    images = np.array([0, 100, 255], np.uint8).reshape(1, 1, 3, 1)
    inked, plain = (mosaic.show_images(images, name) for name in ("gray_r", "gray"))
    assert inked.tolist() == [[[[255] * 3, [155] * 3, [0] * 3]]]
    assert plain.tolist() == [[[[0] * 3, [100] * 3, [255] * 3]]]


def test_colour_images_stay_as_they_are() -> None:
    images = stack(2, 3, 4)
    assert_array_equal(mosaic.show_images(images, "gray_r"), images)


def test_signed_values_go_from_blue_over_white_to_vermillion() -> None:
    values = np.array([-9, -2, 0, 1, 2], np.float32)
    blue, also_blue, middle, orange, vermillion = mosaic.show_signed(values, 2).tolist()
    assert blue == also_blue == [0x00, 0x72, 0xB2]
    assert min(middle) >= 254
    assert 0xD5 < orange[0] < 255
    assert 0x5E < orange[1] < 255
    assert vermillion == [0xD5, 0x5E, 0x00]


@pytest.mark.filterwarnings("error")
def test_values_that_are_all_0_are_white() -> None:
    assert mosaic.show_signed(np.zeros((2, 2), np.float32), 0).min() >= 254


@pytest.mark.parametrize(("height", "width", "zoom"), [(28, 28, 3), (20, 40, 2), (84, 3, 1)])
def test_image_is_enlarged_by_a_whole_number_in_the_middle_of_its_square(
    height: int, width: int, zoom: int
) -> None:
    (picture,) = stack(1, height, width)

    square = mosaic.fit(picture, 84)

    enlarged = picture.repeat(zoom, axis=0).repeat(zoom, axis=1)
    top, left = (84 - zoom * height) // 2, (84 - zoom * width) // 2
    expected = np.full((84, 84, 3), 255)
    expected[top : top + zoom * height, left : left + zoom * width] = enlarged
    assert_array_equal(square, expected)


def test_image_too_large_is_averaged() -> None:
    picture = np.zeros((168, 84, 3), np.uint8)
    picture[::2] = 200

    square = mosaic.fit(picture, 84)

    assert_array_equal(square[:, 21:63], np.full((84, 42, 3), 100))
    assert (square[:, :21] == 255).all()
    assert (square[:, 63:] == 255).all()


@pytest.mark.parametrize(
    ("count", "side", "zoom", "columns"),
    [
        (32, 26, 2, 16),
        (128, 11, 4, 16),
        (32, 3, 17, 16),
        (5, 22, 2, 5),
        (1, 1, 53, 1),
        (32, 30, 2, 11),  # 14 would leave the third line almost empty
        (64, 62, 1, 13),
    ],
)
def test_tiles_fill_lines_in_order(count: int, side: int, zoom: int, columns: int) -> None:
    pictures = stack(count, side, side)

    tiled = mosaic.tile(pictures, 896, gap=2)

    step = zoom * side + 2
    rows = -(-count // columns)
    assert tiled.shape == (rows * step + 2, columns * step + 2, 3)
    remaining = tiled.copy()
    for place, picture in enumerate(pictures):
        y, x = place // columns * step + 2, place % columns * step + 2
        seen = tiled[y : y + step - 2, x : x + step - 2]
        assert_array_equal(seen, picture.repeat(zoom, axis=0).repeat(zoom, axis=1))
        remaining[y : y + step - 2, x : x + step - 2] = PALE
    assert_array_equal(remaining, np.broadcast_to(PALE, remaining.shape))


@pytest.mark.parametrize(("height", "width", "lines"), [(96, 3, 2), (3, 96, 4)])
def test_tall_pictures_are_enlarged_no_further_than_wide_ones(
    height: int, width: int, lines: int
) -> None:
    tiled = mosaic.tile(stack(32, height, width), 896, gap=2)
    assert tiled.shape == (lines * (height + 2) + 2, 32 // lines * (width + 2) + 2, 3)


def test_arrays_are_shrunk_to_means_and_keep_their_proportions() -> None:
    values = np.arange(12 * 8, dtype=np.float32).reshape(1, 12, 8)
    means = values.reshape(1, 6, 2, 4, 2).mean(axis=(2, 4))
    assert_array_equal(mosaic.shrink(values, 6), means)
    assert_array_equal(mosaic.shrink(-values, 6), -means)
    assert mosaic.shrink(np.zeros((2, 3, 500, 2), np.uint8)).shape == (2, 3, 96, 1)
    assert_array_equal(mosaic.shrink(values, 12), values)
