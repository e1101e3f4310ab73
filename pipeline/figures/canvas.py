"""A figure laid out in dots, in which pictures keep their pixels."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pipeline.core.arrays import ByteArray
from pipeline.figures import mosaic
from pipeline.figures.figure_style import DPI, WIDTH, new_figure

MARGIN = round(0.3 * DPI)
ROOM = round(WIDTH * DPI) - 2 * MARGIN  # dots
HEADING = round(0.87 * DPI)
LINE = 24  # dots from one line of text to the next
SIDE = 84  # dots that an image has: 3 for each pixel of MNIST's


class Canvas:
    """A figure, and where its content lies: in dots from the left margin and the heading."""

    def __init__(self, height: int, title: str, subtitle: str) -> None:
        """Start a figure with room for content of this height."""
        self._height = HEADING + height + MARGIN
        self.figure: Figure = new_figure(self._height / DPI, title, subtitle)

    def paste(self, picture: ByteArray, x: int, y: int) -> None:
        """Add a picture, (height, width, 3), with its upper left corner there."""
        self.figure.figimage(picture, MARGIN + x, self._height - HEADING - y - len(picture))

    def write(self, text: str, x: float, y: float, **style: object) -> None:
        """Add a line of text with its upper left corner there.

        With another alignment in `style`, properties of matplotlib's `Text`, its centre or right
        end is there.
        """
        across, down = (MARGIN + x) / (ROOM + 2 * MARGIN), (HEADING + y) / self._height
        properties: dict[str, Any] = {"size": 10, "va": "top", **style}
        self.figure.text(across, 1 - down, text, properties)

    def add_scale(self, low: str, high: str, x: int, y: int) -> None:
        """Add the scale of `mosaic.show_signed`, 16 dots high, with what its ends mean."""
        ramp = np.linspace(-1, 1, 256, dtype=np.float32)[None].repeat(16, axis=0)
        self.paste(mosaic.show_signed(ramp, 1), x, y)
        self.write(low, x - 10, y + 8, ha="right", va="center_baseline")
        self.write(high, x + 266, y + 8, va="center_baseline")
