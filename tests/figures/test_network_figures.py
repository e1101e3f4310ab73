"""What is drawn of the network is what was observed, for data of any shape."""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.testing import assert_array_equal
from PIL import Image

from pipeline.figures import example_figures, mosaic, network_figures
from pipeline.figures.canvas import SIDE
from pipeline.figures.figure_style import to_png

Images = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]
SHAPES = [(28, 28, 1), (32, 32, 3), (20, 90, 1), (300, 260, 3)]
shapes = pytest.mark.parametrize("shape", SHAPES)

ROWS = [
    (0, "Bag", "Bag", 0.99997),
    (1, "Bag", "T-shirt/top", 0.81),
    (2, "Ankle boot", "Ankle boot", 0.7),
    (3, "T-shirt/top", "Ankle boot", 0.95),
]
PREDICTIONS = pd.DataFrame(ROWS, columns=["image", "label", "predicted", "probability"])
NAMES = ["T-shirt/top", "Bag", "Ankle boot"]
LABELS = np.array([1, 1, 2, 0])
MARGINS = np.array([9, -1.5, 0.25, -3], np.float32)
RIVALS = np.array([2, 0, 1, 2])


def random_images(shape: tuple[int, ...], count: int = 4) -> Images:
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    images[:, : shape[0] // 2] = 0  # most pixels are black, as in drawings
    return images


def random_values(*shape: int) -> Values:
    return np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)


def drawn(figure: Figure) -> Images:
    return np.array(Image.open(io.BytesIO(to_png(figure))))


def pasted(figure: Figure) -> list[Images]:
    return [np.asarray(picture.get_array()) for picture in figure.images]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def every_figure(shape: tuple[int, int, int]) -> list[Figure]:
    images, maps = random_images(shape), random_images((9, 9, 64))
    layers = {"conv1_1": maps[0], "pool1": maps[1, ::2, ::2]}
    attributions = random_values(2, 2, *shape)
    return [
        network_figures.filters(random_values(3, 3, shape[2], 32)),
        network_figures.filters(random_values(*shape, 200)),
        network_figures.activation_maps(images[0], PREDICTIONS.iloc[0], layers, "gray_r"),
        network_figures.activation_maps(images[1], PREDICTIONS.iloc[1], {}, "gray"),
        example_figures.attributions(PREDICTIONS, images, attributions),
        example_figures.attributions(PREDICTIONS.iloc[[0, 2]], images, attributions[:0]),
        example_figures.typical_and_unsure(MARGINS, RIVALS, LABELS, images, NAMES),
    ]


@shapes
def test_pictures_keep_every_dot(shape: tuple[int, int, int]) -> None:
    for figure in every_figure(shape):
        png = drawn(figure)
        for image in figure.images:
            picture = np.asarray(image.get_array())
            height, width, _ = picture.shape
            x, y = int(image.ox), len(png) - int(image.oy) - height  # type: ignore[attr-defined]
            assert_array_equal(png[y : y + height, x : x + width], picture)


@shapes
def test_nothing_is_cut_off_or_lies_upon_another(shape: tuple[int, int, int]) -> None:
    for figure in every_figure(shape):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        frame = figure.bbox.padded(-6)
        found = figure.findobj(lambda artist: isinstance(artist, Text) and bool(artist.get_text()))
        boxes = [text.get_window_extent() for text in found]
        for text, box in zip(found, boxes, strict=True):
            assert isinstance(text, Text)
            # Long names of classes are small, to be whole.
            assert float(text.get_fontsize()) >= (10 if len(text.get_text()) <= 8 else 6.5)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1
            assert inside, text.get_text()
            assert frame.y0 <= box.y0, text.get_text()
            assert box.y1 <= frame.y1, text.get_text()
            assert box.count_overlaps(boxes) == 1, text.get_text()


def test_each_filter_is_drawn_with_its_sign() -> None:
    kernel = np.zeros((3, 3, 1, 4), np.float32)
    kernel[0, 0, 0, 1], kernel[2, 1, 0, 3] = 0.5, -0.25

    figure = network_figures.filters(kernel)

    tiles = mosaic.show_signed(kernel[:, :, 0].transpose(2, 0, 1), 0.5)
    assert_array_equal(pasted(figure)[0], mosaic.tile(tiles, 896, gap=8))
    assert {"-0.50", "0.50", "4 filters of 3x3 weights"} <= set(words(figure))


def test_filters_of_colour_images_are_coloured() -> None:
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, :, 0], kernel[0, 0, :, 1] = [1, -1, 0], [0.5, 0, 0]

    figure = network_figures.filters(kernel)

    colours = {tuple(colour) for colour in pasted(figure)[0].reshape(-1, 3).tolist()}
    assert colours == {(255, 0, 128), (191, 128, 128), (0xE2, 0xE2, 0xE2)}
    assert "2 filters of 1x1 weights, 3 channels" in words(figure)


def test_of_many_filters_and_maps_it_is_said_how_many_are_drawn() -> None:
    figure = network_figures.filters(random_values(3, 3, 1, 512))
    assert "128 of 512 filters of 3x3 weights" in words(figure)

    layers = {"conv1_1": random_images((9, 9, 300))[0], "pool1": random_images((4, 4, 256))[0]}
    image = random_images((11, 11, 1))[0]
    figure = network_figures.activation_maps(image, PREDICTIONS.iloc[0], layers, "gray_r")
    assert words(figure)[-2:] == ["conv1_1: 256 of 300 maps of 9x9", "pool1: 256 maps of 4x4"]


def sides(figure: Figure) -> list[tuple[int, int]]:
    return [picture.shape[:2] for picture in pasted(figure)]


@pytest.mark.parametrize("channels", [1, 3])
def test_large_filters_are_averaged_and_fit_into_the_figure(channels: int) -> None:
    figure = network_figures.filters(random_values(300, 260, channels, 128))

    # 15 lines of 9 filters, 96x83 dots each, a gap of 8 between them, and around all.
    assert sides(figure)[0] == (15 * (96 + 8) + 8, 9 * (83 + 8) + 8)
    assert "128 filters of 300x260 weights" in words(figure)[1]
    assert words(figure)[1].endswith(", each dot a mean")


def test_averaged_weights_of_both_signs_are_white() -> None:
    kernel = np.full((192, 192, 1, 1), 0.5, np.float32)
    kernel[::2, :96] *= -1  # on the left, both signs; on the right, positive weights

    shown = pasted(network_figures.filters(kernel))[0][8:-8, 8:-8]

    assert shown.shape == (96, 96, 3)
    assert (shown[:, :48] >= 254).all()
    assert (shown[:, 48:] == [0xD5, 0x5E, 0x00]).all()


def test_large_maps_are_averaged_and_fit_into_the_figure() -> None:
    maps = np.zeros((300, 260, 256), np.uint8)
    maps[:150, :, 0] = 200
    layers = {"conv1_1": maps, "pool1": maps[::2, ::2], "pool2": maps[::4, ::4]}
    image = random_images((300, 260, 1))[0]

    figure = network_figures.activation_maps(image, PREDICTIONS.iloc[0], layers, "gray_r")

    # 26 lines of 10 maps, 96x83 dots each; and 20 lines of 13, 75x65 each.
    large, small = (26 * 98 + 2, 10 * 85 + 2), (20 * 77 + 2, 13 * 67 + 2)
    assert sides(figure) == [(SIDE, SIDE), large, large, small]
    first = pasted(figure)[1][2:98, 2:85]
    assert (first[:48] == 255 - 200).all()
    assert (first[48:] == 255).all()
    assert words(figure)[-3:] == [
        "conv1_1: 256 maps of 300x260, each dot a mean",
        "pool1: 256 maps of 150x130, each dot a mean",
        "pool2: 256 maps of 75x65",
    ]


def test_maps_of_all_layers_follow_the_image_in_order() -> None:
    image, maps = random_images((28, 28, 1))[0], random_images((26, 26, 32))[0]
    layers = {"conv1_1": maps, "pool1": maps[::2, ::2]}

    figure = network_figures.activation_maps(image, PREDICTIONS.iloc[1], layers, "gray_r")

    given, *mosaics = pasted(figure)
    assert_array_equal(given, 255 - image.repeat(3, axis=0).repeat(3, axis=1).repeat(3, axis=2))
    for values, tiles in zip(layers.values(), mosaics, strict=True):
        inked = (255 - values.transpose(2, 0, 1))[..., None].repeat(3, axis=-1)
        assert_array_equal(tiles, mosaic.tile(inked, 896, gap=2))
    heights = [image.oy for image in figure.images]  # type: ignore[attr-defined]
    assert heights == sorted(heights, reverse=True)
    title, subtitle, *_ = words(figure)
    assert title == "Test image 1 on its way through the network"
    assert subtitle == "True class Bag, predicted T-shirt/top, probability 0.810"


def test_maps_with_negative_values_are_drawn_with_their_sign() -> None:
    image, maps = random_images((28, 28, 1))[0], np.zeros((12, 12, 2), np.int8)
    maps[0, 0], maps[5, 5], maps[9, 2] = [-127, 127], [-64, 0], [0, 1]
    large = np.zeros((192, 192, 1), np.int8)
    large[::2, :96], large[1::2, :96] = -100, 100  # on the left, both signs

    layers = {"block1/conv": maps, "pool1": large}
    figure = network_figures.activation_maps(image, PREDICTIONS.iloc[0], layers, "gray_r")

    _given, tiles, averaged = pasted(figure)
    coloured = mosaic.show_signed(maps.transpose(2, 0, 1).astype(np.float32), 127)
    assert_array_equal(tiles, mosaic.tile(coloured, 896, gap=2))
    assert (averaged[2:98, 2:98] >= 254).all()
    assert words(figure)[-2:] == [
        "block1/conv: 2 maps of 12x12, blue below 0 and red above",
        "pool1: 1 maps of 192x192, blue below 0 and red above, each dot a mean",
    ]


def test_network_without_convolutions_is_said_to_have_no_maps() -> None:
    image = random_images((28, 28, 1))[0]
    figure = network_figures.activation_maps(image, PREDICTIONS.iloc[0], {}, "gray_r")
    assert "The network has no convolutions, so there are no maps." in words(figure)
    assert "True class Bag, predicted Bag, probability > 0.999" in words(figure)


@shapes
def test_errors_come_surest_first_each_with_what_speaks_for_both_classes(
    shape: tuple[int, int, int],
) -> None:
    images, attributions = random_images(shape), random_values(2, 2, *shape)

    figure = example_figures.attributions(PREDICTIONS, images, attributions)

    expected = []
    for place, number in enumerate((3, 1)):
        signed = mosaic.shrink(attributions[place].sum(axis=-1), SIDE)
        limit = float(np.sort(np.abs(signed).ravel())[int(0.99 * signed.size)])
        expected += [mosaic.show_images(images[[number]], "gray_r")[0]]
        expected += [*mosaic.show_signed(signed, limit)]
    *shown, _scale = pasted(figure)
    for picture, correct in zip(shown, expected, strict=True):
        difference = picture.astype(int) - mosaic.fit(correct, SIDE)
        assert np.abs(difference).max() <= 6  # the quantile lies between two values
    captions = ["#3", "Ankle boot", "T-shirt/top", "#1", "T-shirt/top", "Bag"]
    assert words(figure)[2:] == [*captions, "against", "for"]


def test_no_errors_are_said_to_be_none() -> None:
    right = PREDICTIONS.iloc[[0, 2]]
    figure = example_figures.attributions(
        right, random_images((8, 8, 1)), random_values(0, 2, 8, 8, 1)
    )
    assert "No errors among 2 test images" in words(figure)
    assert not figure.images


def captions_of(
    names: Sequence[str], labels: npt.NDArray[np.integer], margins: Values
) -> list[str]:
    images = random_images((8, 8, 1), len(labels))
    rivals = (labels + 1) % len(names)
    return words(example_figures.typical_and_unsure(margins, rivals, labels, images, names))


def test_each_class_shows_typical_images_then_unsure_ones_with_their_rivals() -> None:
    images = random_images((28, 28, 1))

    figure = example_figures.typical_and_unsure(MARGINS, RIVALS, LABELS, images, NAMES)

    expected = ["T-shirt/top", "#3", "#3", "Ankle boot"]
    expected += ["Bag", "#0", "#1", "#1", "#0", "T-shirt/top", "Ankle boot"]
    expected += ["Ankle boot", "#2", "#2", "Bag"]
    assert words(figure)[-len(expected) :] == expected
    numbers = [int(text[1:]) for text in expected if text.startswith("#")]
    inked = 255 - images.repeat(3, axis=1).repeat(3, axis=2).repeat(3, axis=3)
    for picture, number in zip(pasted(figure), numbers, strict=True):
        assert_array_equal(picture, inked[number])
    bold = [text.get_text() for text in figure.texts if text.get_fontweight() == "bold"][1:]
    # The names of the classes, and the rivals of the images with negative margins.
    assert bold == ["T-shirt/top", "Ankle boot", "Bag", "T-shirt/top", "Ankle boot"]


def test_of_many_classes_20_are_drawn() -> None:
    names = [f"c{label}" for label in range(260)]
    found = captions_of(names, np.arange(260), np.ones(260, np.float32))
    assert found[1].endswith(", 20 of 260 classes")
    assert {"c0", "c19", "#19"} <= set(found)
    assert "#20" not in found


def test_class_without_test_images_has_an_empty_line() -> None:
    found = captions_of(["a", "b", "c"], np.array([0, 2]), np.ones(2, np.float32))
    assert found[-8:] == ["#0", "#0", "b", "b", "c", "#1", "#1", "a"]
