"""Pictures of what a network computes: functions of values that return a `Figure`."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.core.arrays import ByteArray, FloatArray
from pipeline.evaluation.observations import LevelArray
from pipeline.figures import mosaic
from pipeline.figures.canvas import LINE, ROOM, SIDE, Canvas
from pipeline.figures.figure_style import GREY, format_probability, styled

MAX_FILTERS, MAX_MAPS = 128, 256


@styled
def filters(kernel: FloatArray) -> Figure:
    """Draw the weights of the first layer, of at most 128 filters.

    Args:
        kernel: (height, width, channels, filters), float32; large ones are averaged. Three channels
            are shown as one colour.
    """
    height, width, channels, count = kernel.shape
    shown = mosaic.shrink(kernel[..., :MAX_FILTERS].transpose(3, 2, 0, 1)).transpose(0, 2, 3, 1)
    limit = float(np.abs(shown).max())
    coloured = channels == 3
    pictures = (
        mosaic.to_levels(shown, limit)
        if coloured
        else mosaic.show_signed(shown.mean(axis=-1), limit)
    )
    tiles = mosaic.tile(pictures, ROOM, gap=8)
    channel_words = f", {channels} channels" if channels > 1 else ""
    subtitle = (
        f"{_shown_of(count, MAX_FILTERS)} filters of {height}x{width} weights{channel_words}"
        f"{_averaged(height, width)}"
    )
    canvas = Canvas(len(tiles) + 2 * LINE, "Filters of the first layer", subtitle)
    canvas.paste(tiles, 0, 0)
    low, high, below = f"{-limit:.2f}", f"{limit:.2f}", len(tiles) + LINE
    if coloured:
        words = f"Red, green and blue: {low} is dark, {high} is bright; grey: 0 in all three"
        canvas.write(words, 0, below, color=GREY)
    else:
        canvas.add_scale(low, high, 70, below)
    return canvas.figure


@styled
def activation_maps(
    image: ByteArray, prediction: pd.Series, maps: Mapping[str, LevelArray], colours: str
) -> Figure:
    """Draw an image and the maps that the layers of a network make of it.

    Args:
        image: (height, width, channels).
        prediction: image (its number), label and predicted (short names of classes), and
            probability (of the predicted class).
        maps: (h, w, filters) for each layer by its name, in the order of the network, as
            `observations.quantize` makes them. At most 256 maps of a layer are drawn, and large
            ones are averaged.
        colours: of grey images, as `picture_parts.grey_colours` has them.
    """
    pictures = {name: _tile_maps(values[..., :MAX_MAPS]) for name, values in maps.items()}
    height = SIDE + sum(2 * LINE + len(picture) for picture in pictures.values())
    label, predicted = prediction["label"], prediction["predicted"]
    probability = format_probability(prediction["probability"])
    canvas = Canvas(
        height,
        f"Test image {prediction['image']:,} on its way through the network",
        f"True class {label}, predicted {predicted}, probability {probability}",
    )
    canvas.paste(mosaic.fit(mosaic.show_images(image[None], colours)[0], SIDE), 0, 0)
    remark = "Of each layer, 0 is white, and the largest value black."
    if not maps:
        remark = "The network has no convolutions, so there are no maps."
    canvas.write(remark, SIDE + LINE, SIDE / 2, va="center_baseline", color=GREY)
    y = SIDE + LINE
    for name, picture in pictures.items():
        rows, columns, count = maps[name].shape
        caption = f"{name}: {_shown_of(count, MAX_MAPS)} maps of {rows}x{columns}"
        signs = ", blue below 0 and red above" if maps[name].dtype == np.int8 else ""
        canvas.write(caption + signs + _averaged(rows, columns), 0, y, va="center")
        canvas.paste(picture, 0, y + LINE // 2 + 4)
        y += len(picture) + 2 * LINE
    return canvas.figure


def _tile_maps(maps: LevelArray) -> ByteArray:
    levels = maps.transpose(2, 0, 1)
    if levels.dtype == np.int8:
        pictures = mosaic.show_signed(mosaic.shrink(levels.astype(np.float32)), 127)
    else:
        shown = mosaic.shrink(levels.astype(np.uint8, copy=False))
        pictures = mosaic.show_images(shown[..., None], "gray_r")
    return mosaic.tile(pictures, ROOM, gap=2)


def _averaged(height: int, width: int) -> str:
    return ", each dot a mean" if max(height, width) > mosaic.LARGEST else ""


def _shown_of(count: int, most: int) -> str:
    return f"{count:,}" if count <= most else f"{most} of {count:,}"
