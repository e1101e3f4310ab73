"""How every figure looks, down to the byte.

Same values, same bytes: `to_png` writes nothing that changes from run to run, and no setting
of the user's takes part. Positions are given in inches and not left to a layout engine, whose
solver may end in other last bits; so pictures of two runs also lie exactly on top of each
other. There is no `pyplot`: its figures are global, and it chooses a backend.
"""

import io

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

# Okabe and Ito, "Color Universal Design" (2008): told apart with any kind of colour vision.
BLUE, SKY, VERMILLION = "#0072B2", "#56B4E9", "#D55E00"
INK, GREY, PALE = "#222222", "#666666", "#E2E2E2"

DPI = 140  # a digit of 28 pixels on 0.8 inches then has 4 x 4 dots per pixel and stays sharp
# In inches: a figure, and the margins around its axes.
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 7.0, 0.95, 0.3, 0.95, 0.7

# What matplotlib ships (its own font, DejaVu Sans, included), whatever the user's matplotlibrc.
_settings = {
    **matplotlib.rcParamsDefault,
    "figure.dpi": DPI,
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,  # the name of a class may have dollar signs
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=[BLUE, VERMILLION]),
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": PALE,
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}
del _settings["backend"]  # to set it, even to its default, imports pyplot
styled = matplotlib.rc_context(_settings)


@styled
def to_png(figure: Figure) -> bytes:
    """Render a figure as a PNG file, in the same bytes on every run.

    256 colours look the same as all and halve what every change of a figure adds to Git; only
    pictures in red, green and blue need all.
    """
    raw = io.BytesIO()
    figure.savefig(raw, format="rgba", backend="agg")
    picture = Image.frombytes("RGBA", figure.canvas.get_width_height(), raw.getvalue())
    picture = picture.convert("RGB")
    pictures = [*figure.images, *(shown for axes in figure.axes for shown in axes.images)]
    if all(np.asarray(shown.get_array()).ndim == 2 for shown in pictures):
        picture = picture.quantize(256, Image.Quantize.MAXCOVERAGE)
    png = io.BytesIO()
    picture.save(png, "png")
    return png.getvalue()


def new_figure(height: float, title: str, subtitle: str) -> Figure:
    """Start a figure, its height in inches, with its heading."""
    figure = Figure(figsize=(WIDTH, height))
    figure.text(0.3 / WIDTH, 1 - 0.36 / height, title, size=14, weight="bold")
    figure.text(0.3 / WIDTH, 1 - 0.62 / height, subtitle, color=GREY)
    return figure


def add_axes(
    figure: Figure,
    height: float,
    bottom: float = BOTTOM,
    left: float = LEFT,
    right: float = RIGHT,
) -> Axes:
    """Add axes, their height and margins in inches."""
    total = figure.get_figheight()
    return figure.add_axes(
        (left / WIDTH, bottom / total, 1 - (left + right) / WIDTH, height / total)
    )


def add_legend(figure: Figure) -> None:
    """Explain the marks beside the title, where no data can run under them."""
    right, top = 1 - (RIGHT - 0.05) / WIDTH, 1 - 0.17 / figure.get_figheight()
    figure.legend(loc="upper right", bbox_to_anchor=(right, top), ncols=3, borderaxespad=0)


def format_probability(probability: float) -> str:
    """Return a probability with 3 digits; none is shown as 1."""
    return "> 0.999" if probability > 0.9995 else f"{probability:.3f}"
