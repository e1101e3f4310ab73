"""Images, maps and attributions as pictures that a browser shows."""

import base64
import io
import math

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb
from PIL import Image

from pipeline.core.arrays import ByteArray, FloatArray
from pipeline.figures.figure_style import SKY, VERMILLION

BACKGROUND = "#10151c"  # between maps, and behind them
GAP = 255  # its place in the palette


def _palette(colours: Colormap) -> bytes:
    shown = [*colours(np.linspace(0, 1, GAP))[:, :3], to_rgb(BACKGROUND)]
    return bytes((255 * np.array(shown)).astype(np.uint8))


# Of evenly rising lightness, and told apart with any kind of colour vision.
PALETTE = _palette(colormaps["viridis"])
SIGNED = _palette(LinearSegmentedColormap.from_list("signed", [SKY, "black", VERMILLION]))
FOR, AGAINST = (255 * np.array([to_rgb(colour) for colour in (VERMILLION, SKY)])).astype(int)
DIMMED = 0.35  # the image behind its attribution


def url(picture: Image.Image) -> str:
    """Return a picture as a PNG file in a URL."""
    png = io.BytesIO()
    picture.save(png, "png", compress_level=1)  # it goes no further than to this machine's browser
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"


def to_picture(image: ByteArray, enlarged: int = 1) -> Image.Image:
    """Return an image (height, width, channels), in grey or colour, each pixel so many wide."""
    pixels = image[:, :, 0] if image.shape[2] == 1 else image[:, :, :3]
    return Image.fromarray(pixels.repeat(enlarged, axis=0).repeat(enlarged, axis=1))


def tile(maps: FloatArray) -> Image.Image:
    """Return the maps of a layer beside each other in a square, row by row.

    The strongest value of all is the brightest; square roots let weak ones show, too. Where any
    value is negative, 0 is black, and the negative ones are blue, the others orange.

    Args:
        maps: (h, w, filters).
    """
    height, width, filters = maps.shape
    columns = math.ceil(math.sqrt(filters))
    rows = math.ceil(filters / columns)
    levels = np.full((rows * columns, height + 1, width + 1), GAP, np.uint8)
    shown = (np.sign(maps) * np.sqrt(np.abs(maps) / (np.abs(maps).max() or 1))).transpose(2, 0, 1)
    signed = maps.min() < 0
    if signed:
        shown = (shown + 1) / 2
    levels[:filters, :height, :width] = np.round((GAP - 1) * shown)
    grid = levels.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2)
    picture = Image.fromarray(grid.reshape(rows * (height + 1), -1)[:-1, :-1], "P")
    picture.putpalette(SIGNED if signed else PALETTE)
    return picture


def overlay(image: ByteArray, attribution: FloatArray) -> Image.Image:
    """Return a dimmed image, and over it what speaks for a class (orange) and against it (blue).

    Square roots let weak attributions show, too.

    Args:
        image: (height, width, channels), uint8.
        attribution: (height, width); the strongest value has its full colour.
    """
    grey = DIMMED * image.mean(axis=-1, keepdims=True)
    strength = np.sqrt(np.abs(attribution) / (np.abs(attribution).max() or 1))
    colour = np.where(attribution[..., None] > 0, FOR, AGAINST)
    mixed = grey + strength[..., None] * (colour - grey)
    return Image.fromarray(mixed.astype(np.uint8))
