"""Augmentation on the real TensorFlow, compared with hand-made images and with SciPy."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from pipeline.provenance.params import load_params
from pipeline.training.augmentation import RandomAffine, move_images
from tests.conftest import FROZEN

NONE = load_params(FROZEN["params.yaml"]).augmentation
STRONG = NONE.model_copy(update={"rotation": 20, "shift": 0.2, "zoom": 0.2})


@pytest.fixture
def images() -> npt.NDArray[np.uint8]:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (6, 9, 12, 3), dtype=np.uint8)


def move(
    images: npt.NDArray[Any],
    rotation: float = 0,
    shift: tuple[float, float] = (0, 0),
    zoom: tuple[float, float] = (0, 0),
) -> npt.NDArray[Any]:
    """Move all images alike."""
    ones = np.ones(len(images), np.float32)
    amounts = [np.outer(pair, ones).astype(np.float32) for pair in (shift, zoom)]
    return np.asarray(move_images(images, rotation * ones, *amounts))


def picture(*rows: str) -> npt.NDArray[np.uint8]:
    """Return one image, (1, height, width, 1), a pixel for each digit."""
    return np.array([[[[int(digit)] for digit in row] for row in rows]], np.uint8)


F = picture("07700", "07000", "07700", "07000", "07000")


def test_nothing_moves_without_amounts(images: npt.NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(move(images), images)


def test_rotation_is_counterclockwise_about_the_centre() -> None:
    expected = picture("00000", "00000", "70700", "77777", "00000")
    np.testing.assert_array_equal(move(F, rotation=90), expected)


def test_shift_is_a_fraction_downwards_and_to_the_right() -> None:
    expected = picture("00000", "00077", "00070", "00077", "00070")
    np.testing.assert_array_equal(move(F, shift=(0.2, 0.4)), expected)


def test_shift_is_interpolated_between_pixels() -> None:
    moved = move(picture("0800", "0000"), shift=(0, 0.0625))  # a quarter of a pixel
    np.testing.assert_array_equal(moved, picture("0620", "0000"))


def test_zoom_enlarges_each_axis_by_itself() -> None:
    # Twice as high: rows 1 to 3 fill five rows, with means of their neighbours between them.
    moved = move(picture("000", "246", "468", "000", "000"), zoom=(0.999999, 0))
    np.testing.assert_array_equal(moved, picture("246", "357", "468", "234", "000"))
    moved = move(picture("02468"), zoom=(0, -0.5))
    np.testing.assert_array_equal(moved, picture("00480"))


@pytest.mark.parametrize("turn", [-70, 30])
def test_zoom_comes_first_then_rotation_then_shift(
    images: npt.NDArray[np.uint8], turn: float
) -> None:
    shift, zoom = (0.1, -0.2), (0.3, -0.25)
    sin, cos = np.sin(np.deg2rad(turn)), np.cos(np.deg2rad(turn))
    # In (y, x), y downwards.
    matrix = np.linalg.inv(np.array([[cos, -sin], [sin, cos]]) @ np.diag([1.3, 0.75]))
    centre = np.array([4, 5.5])
    moved_centre = [4 + 0.1 * 9, 5.5 - 0.2 * 12]
    offset = centre - matrix @ moved_centre
    expected = [
        [
            ndimage.affine_transform(channel, matrix, offset, order=1, mode="grid-constant")
            for channel in np.moveaxis(image.astype(float), -1, 0)
        ]
        for image in images
    ]
    moved = move(images, turn, shift, zoom)
    assert moved.dtype == np.uint8
    np.testing.assert_allclose(moved, np.moveaxis(np.array(expected), 1, -1), atol=0.51)


def test_only_training_moves_images_each_its_own_way(images: npt.NDArray[np.uint8]) -> None:
    same = np.repeat(images[:1], 6, axis=0)
    layer = RandomAffine(STRONG, seed=0)
    np.testing.assert_array_equal(layer(same), same)
    first, second = (np.asarray(layer(same, training=True)) for _ in range(2))
    seen = {image.tobytes() for image in (*first, *second)}
    assert len(seen) == 12
    assert first.dtype == np.uint8


def test_seed_decides(images: npt.NDArray[np.uint8]) -> None:
    def moved(seed: int) -> bytes:
        return np.asarray(RandomAffine(STRONG, seed)(images, training=True)).tobytes()

    assert moved(0) == moved(0)
    assert moved(0) != moved(1)


@pytest.mark.parametrize(
    ("bound", "farthest"),
    [
        ({"rotation": 90.0}, 7),  # to the top or to the bottom, as far from the centre
        ({"shift": 0.2}, 0.2 * 32),
        ({"zoom": 0.5}, 7 / 2),
    ],
)
def test_amounts_reach_up_to_the_bound(bound: dict[str, float], farthest: float) -> None:
    """A blot 7 pixels to the right of the centre moves so far along an axis, and no farther."""
    images = np.zeros((1000, 32, 32, 1), np.uint8)
    images[:, 15:17, 22:24] = 200
    params = NONE.model_copy(update=bound)
    moved = np.asarray(RandomAffine(params, seed=0)(images, training=True))[..., 0]
    centres = [ndimage.center_of_mass(image.astype(float)) for image in moved]
    distances = np.abs(np.array(centres) - [15.5, 22.5])
    assert distances.max() == pytest.approx(farthest, abs=0.1)
