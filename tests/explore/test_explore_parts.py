"""Parts of the page that need no browser: its pictures, its choice of images, and its numbers."""

import base64
import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from pipeline.explore import rendering
from pipeline.explore.answer_panel import percent
from pipeline.explore.chooser import ANY, find, move
from pipeline.explore.pad import trace

LABELS = np.array([3, 1, 3, 0, 1, 3], np.uint8)


def test_maps_are_tiled_row_by_row() -> None:
    maps = np.zeros((2, 3, 5), np.float32)
    maps[0, 0, 3] = 4  # the strongest
    maps[1, 2, 4] = 1
    pixels = np.array(rendering.tile(maps).convert("RGB")) / 255
    assert pixels.shape == (5, 11, 3)  # 5 maps of 2 x 3 in 3 columns, with gaps of 1
    viridis = {value: colormaps["viridis"](value)[:3] for value in (0.0, 0.5, 1.0)}
    for (y, x), value in {(0, 0): 0, (3, 0): 1.0, (4, 6): 0.5, (4, 5): 0}.items():
        assert pixels[y, x] == pytest.approx(viridis[value], abs=0.01)
    for y, x in ((2, 0), (0, 3), (3, 8)):  # gaps, and where there is no sixth map
        assert pixels[y, x] == pytest.approx([0x10 / 255, 0x15 / 255, 0x1C / 255])


def test_maps_without_a_response_are_dark() -> None:
    pixels = np.array(rendering.tile(np.zeros((2, 2, 1), np.float32)).convert("RGB"))
    assert pixels == pytest.approx(np.full((2, 2, 3), colormaps["viridis"](0)[:3]) * 255, abs=1)


def test_maps_with_negative_values_are_blue_below_0_and_orange_above() -> None:
    maps = np.array([[[-4], [0], [1]]], np.float32)
    left, middle, right = np.array(rendering.tile(maps).convert("RGB"))[0].astype(int)
    assert left == pytest.approx([0x56, 0xB4, 0xE9], abs=2)
    assert middle == pytest.approx([0, 0, 0], abs=2)
    assert right == pytest.approx([0xD5 / 2, 0x5E / 2, 0], abs=2)  # the square root of 1 / 4


def test_attribution_is_orange_for_and_blue_against() -> None:
    image = np.array([[[200], [200], [200], [0]]], np.uint8)
    attribution = np.array([[2, -2, 0, 0]], np.float32)
    pixels = np.array(rendering.overlay(image, attribution))
    assert pixels[0, 0].tolist() == [0xD5, 0x5E, 0x00]
    assert pixels[0, 1].tolist() == [0x56, 0xB4, 0xE9]
    assert pixels[0, 2].tolist() == [70, 70, 70]  # the image alone, dimmed
    assert pixels[0, 3].tolist() == [0, 0, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_picture_in_a_url_is_the_image(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 6, channels), np.uint8)
    kind, _, content = rendering.url(rendering.to_picture(image, enlarged=2)).partition(",")
    shown = np.array(Image.open(io.BytesIO(base64.b64decode(content)))).reshape(8, 12, channels)
    assert kind == "data:image/png;base64"
    np.testing.assert_array_equal(shown[::2, ::2], image)
    np.testing.assert_array_equal(shown[1::2, 1::2], image)


@pytest.mark.parametrize(
    ("label", "only", "found"),
    [
        (ANY, None, [0, 1, 2, 3, 4, 5]),
        (3, None, [0, 2, 5]),
        (ANY, [1, 2], [1, 2]),
        (3, [1, 2], [2]),
        (0, [1, 2], []),
        (7, None, []),
    ],
)
def test_images_are_found(label: int, only: list[int] | None, found: list[int]) -> None:
    chosen = None if only is None else np.array(only)
    assert find(LABELS, label, chosen).tolist() == found


@pytest.mark.parametrize(
    ("present", "step", "goes_to"),
    [
        (2, 1, 5),
        (2, -1, 0),
        (2, 0, 0),
        (3, 1, 5),  # is none of them
        (3, -1, 2),
        (5, 1, 0),  # after the last comes the first
        (0, -1, 5),
        (-1, 1, 0),  # nothing is picked yet
        (1, -1, 0),
    ],
)
def test_steps_go_around(present: int, step: int, goes_to: int) -> None:
    assert move(np.array([0, 2, 5]), present, step) == goes_to


def test_strokes_become_a_path() -> None:
    assert trace([[(1, 2)], [(3, 4), (5, 6.25)]]) == "M1.0 2.0 L1.0 2.0M3.0 4.0 L3.0 4.0 L5.0 6.2"


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(1, "> 99.9%"), (0.9985, "99.9%"), (0.5, "50.0%"), (0.001, "0.1%"), (0.0004, "< 0.1%")],
)
def test_nothing_is_quite_certain(probability: float, shown: str) -> None:
    assert percent(probability) == shown
