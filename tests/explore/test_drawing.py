"""What is drawn becomes an image as MNIST's were made."""

import gzip

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from pipeline.explore.drawing import centre, draw
from tests.conftest import ROOT

Image = npt.NDArray[np.uint8]
SEVEN = [[(20.0, 30.0), (90.0, 30.0), (50.0, 150.0)]]


@pytest.fixture(scope="module")
def digits() -> Image:
    """The first 500 test images, (500, 28, 28)."""
    with gzip.open(ROOT / "data/raw/mnist/t10k-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read(16 + 500 * 784), np.uint8, offset=16).reshape(-1, 28, 28)


def extent(image: Image) -> tuple[int, ...]:
    """Return how many rows and columns from the first to the last that is not black."""
    (box,) = ndimage.find_objects((image > 0).astype(int))
    return tuple(part.stop - part.start for part in box)


def test_mnist_images_come_back_as_they_were(digits: Image) -> None:
    for digit in digits:
        enlarged = np.pad(digit.repeat(10, axis=0).repeat(10, axis=1), ((37, 0), (0, 91)))
        np.testing.assert_array_equal(centre(enlarged, (28, 28)), digit)


@pytest.mark.parametrize("zoom", [0.8, 2.3])
@pytest.mark.parametrize("place", [(0, 0), (80, 10)])
def test_drawing_fills_the_box_around_its_centre_of_mass(
    zoom: float, place: tuple[int, int]
) -> None:
    strokes = [[(zoom * x + place[0], zoom * y + place[1]) for x, y in SEVEN[0]]]
    image = centre(draw(strokes, (400, 400), pen=14), (28, 28))
    assert max(extent(image)) == 20
    assert ndimage.center_of_mass(image) == pytest.approx((14, 14), abs=0.5)


def test_shape_of_a_drawing_is_kept() -> None:
    ink = np.zeros((300, 300), np.uint8)
    ink[10:210, 100:150] = 255  # four times as high as wide
    assert extent(centre(ink, (28, 28))) == (20, 5)
    assert extent(centre(ink.T.copy(), (28, 28))) == (5, 20)


def test_edges_are_smooth() -> None:
    image = centre(draw(SEVEN, (280, 280), pen=14), (28, 28))
    assert image.max() == 255
    assert len(np.unique(image)) > 10


def test_box_is_the_same_share_of_images_of_another_shape() -> None:
    ink = np.full((60, 60), 255, np.uint8)
    image = centre(ink, (56, 42))
    assert image.shape == (56, 42)
    assert extent(image) == (30, 30)  # 20/28 of the shorter side


def test_nothing_is_cut_off_of_a_very_uneven_drawing() -> None:
    ink = np.zeros((200, 200), np.uint8)
    ink[:, 100] = 255
    ink[190:, :] = 255
    image = centre(ink, (28, 28))
    assert extent(image) == (20, 20)
    assert image.sum() / 100 == pytest.approx(ink.sum() / 100 / 100, rel=0.02)


def test_no_drawing_is_a_black_image() -> None:
    assert not centre(draw([], (280, 280), pen=20), (28, 28)).any()


def test_pen_draws_dots_lines_and_round_ends() -> None:
    dot = draw([[(50, 40)]], (100, 100), pen=20)
    assert dot.sum() / 255 == pytest.approx(np.pi * 10**2, rel=0.15)
    assert ndimage.center_of_mass(dot) == pytest.approx((40, 50), abs=0.5)
    line = draw([[(20, 50), (70, 50)]], (100, 100), pen=20)
    assert line.sum() / 255 == pytest.approx(50 * 20 + np.pi * 10**2, rel=0.15)


def test_what_leaves_the_pad_is_cut_off() -> None:
    ink = draw([[(50, 50), (250, 50)]], (100, 100), pen=10)
    assert ink.shape == (100, 100)
    assert ink[50, 99] == 255
