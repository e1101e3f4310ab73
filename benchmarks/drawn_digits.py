"""Digits as people draw them: five ways to write each one, and where on a pad.

Coordinates are those of a square, x to the right and y down, from 0 to 1.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.interpolate import make_interp_spline

Points = npt.NDArray[np.float64]  # (N, 2), x and y
STEPS = 12  # points that a curve gets from one given point to the next


class Drawing(NamedTuple):
    """The strokes of a digit, and which one it is."""

    strokes: list[Points]
    label: int


def line(*points: tuple[float, float]) -> Points:
    """Return straight lines from point to point."""
    corners = np.array(points)
    places = np.linspace(0, len(corners) - 1, STEPS * (len(corners) - 1) + 1)
    known = np.arange(len(corners))
    return np.column_stack([np.interp(places, known, corners[:, axis]) for axis in (0, 1)])


def curve(*points: tuple[float, float]) -> Points:
    """Return a smooth curve through points."""
    known = np.arange(len(points))
    places = np.linspace(0, len(points) - 1, STEPS * (len(points) - 1) + 1)
    smooth: Points = make_interp_spline(known, points, k=min(3, len(points) - 1))(places)
    return smooth


def joined(*parts: Points) -> Points:
    """Return parts drawn without lifting the pen."""
    return np.concatenate(parts)


def ring(x: float, y: float, width: float, height: float, start: float = -90) -> Points:
    """Return a closed oval, drawn to the left from an angle in degrees (-90 is the top)."""
    angles = np.radians(start - np.linspace(0, 360, 4 * STEPS))
    return np.column_stack([x + width / 2 * np.cos(angles), y + height / 2 * np.sin(angles)])


WAYS: dict[int, list[list[Points]]] = {
    0: [
        [ring(0.5, 0.5, 0.6, 1)],
        [ring(0.5, 0.5, 0.9, 1)],
        [ring(0.5, 0.5, 0.5, 1, start=-60)],
        [curve((0.6, 0.02), (0.2, 0.3), (0.15, 0.7), (0.5, 1), (0.85, 0.6), (0.8, 0.2), (0.45, 0))],
        [curve((0.7, 0.1), (0.4, 0), (0.15, 0.5), (0.4, 1), (0.8, 0.6), (0.75, 0.15), (0.6, 0.05))],
    ],
    1: [
        [line((0.5, 0), (0.5, 1))],
        [line((0.65, 0), (0.35, 1))],
        [line((0.25, 0.25), (0.55, 0), (0.55, 1))],
        [line((0.25, 0.25), (0.5, 0), (0.5, 1)), line((0.2, 1), (0.8, 1))],
        [line((0.35, 0.15), (0.6, 0), (0.5, 1)), line((0.25, 1), (0.75, 0.98))],
    ],
    2: [
        [
            joined(
                curve((0.1, 0.25), (0.35, 0), (0.75, 0.12), (0.7, 0.5), (0.1, 1)),
                line((0.1, 1), (0.9, 1)),
            )
        ],
        [
            joined(
                curve((0.05, 0.3), (0.45, 0), (0.85, 0.3), (0.5, 0.7), (0.05, 1)),
                line((0.05, 1), (0.95, 0.95)),
            )
        ],
        [
            curve(
                *((0.15, 0.2), (0.5, 0), (0.8, 0.25), (0.5, 0.7), (0.15, 0.95)),
                *((0.1, 0.8), (0.3, 0.78), (0.55, 0.95), (0.95, 0.9)),
            )
        ],
        [
            curve(
                *((0.2, 0.3), (0.3, 0.05), (0.65, 0.05), (0.75, 0.35), (0.4, 0.85)),
                *((0.15, 0.95), (0.15, 0.8), (0.4, 0.85), (0.7, 1), (0.9, 0.9)),
            )
        ],
        [joined(curve((0.2, 0.1), (0.6, 0), (0.8, 0.3), (0.2, 1)), line((0.2, 1), (0.8, 1)))],
    ],
    3: [
        [
            joined(
                curve((0.15, 0.15), (0.5, 0), (0.8, 0.22), (0.4, 0.47)),
                curve((0.4, 0.47), (0.85, 0.7), (0.55, 1), (0.1, 0.88)),
            )
        ],
        [
            joined(
                curve((0.2, 0.05), (0.6, 0), (0.75, 0.25), (0.45, 0.45)),
                curve((0.45, 0.45), (0.8, 0.6), (0.75, 0.9), (0.4, 1), (0.15, 0.9)),
            )
        ],
        [
            joined(
                line((0.15, 0.02), (0.8, 0.02), (0.4, 0.4)),
                curve((0.4, 0.4), (0.85, 0.6), (0.65, 0.97), (0.1, 0.93)),
            )
        ],
        [
            curve(
                *((0.1, 0.2), (0.45, 0), (0.75, 0.2), (0.5, 0.45), (0.38, 0.5), (0.5, 0.5)),
                *((0.85, 0.7), (0.5, 1), (0.1, 0.85)),
            )
        ],
        [
            joined(
                curve((0.2, 0.1), (0.7, 0.05), (0.7, 0.35), (0.3, 0.5)),
                curve((0.3, 0.5), (0.75, 0.55), (0.7, 0.95), (0.2, 1)),
            )
        ],
    ],
    4: [
        [line((0.35, 0), (0.1, 0.6), (0.9, 0.6)), line((0.7, 0.25), (0.7, 1))],
        [line((0.2, 0), (0.2, 0.5), (0.8, 0.5)), line((0.8, 0), (0.8, 1))],
        [joined(line((0.8, 0.7), (0.05, 0.7), (0.6, 0), (0.6, 1)))],
        [curve((0.2, 0.05), (0.15, 0.4), (0.4, 0.55), (0.75, 0.4)), line((0.8, 0), (0.7, 1))],
        [line((0.5, 0), (0.05, 0.65), (0.95, 0.65)), line((0.55, 0.35), (0.5, 1))],
    ],
    5: [
        [
            joined(
                line((0.8, 0.02), (0.25, 0.02), (0.2, 0.42)),
                curve((0.2, 0.42), (0.65, 0.38), (0.8, 0.7), (0.5, 1), (0.1, 0.9)),
            )
        ],
        [
            joined(
                line((0.25, 0), (0.2, 0.45)),
                curve((0.2, 0.45), (0.7, 0.45), (0.75, 0.85), (0.4, 1), (0.1, 0.9)),
            ),
            line((0.25, 0.02), (0.85, 0)),
        ],
        [
            joined(
                line((0.9, 0.05), (0.4, 0.05), (0.25, 0.5)),
                curve((0.25, 0.5), (0.6, 0.45), (0.75, 0.7), (0.45, 0.98), (0.05, 0.95)),
            )
        ],
        [
            curve(
                *((0.85, 0), (0.5, 0.02), (0.3, 0.1), (0.25, 0.35), (0.55, 0.5)),
                *((0.75, 0.75), (0.5, 1), (0.1, 0.92)),
            )
        ],
        [
            joined(
                line((0.7, 0), (0.2, 0), (0.2, 0.5)),
                curve((0.2, 0.5), (0.75, 0.5), (0.7, 0.95), (0.15, 1)),
            )
        ],
    ],
    6: [
        [
            curve(
                *((0.65, 0), (0.3, 0.3), (0.18, 0.7), (0.45, 1), (0.75, 0.8)),
                *((0.6, 0.52), (0.3, 0.6), (0.22, 0.75)),
            )
        ],
        [
            curve(
                *((0.75, 0.05), (0.4, 0.15), (0.15, 0.6), (0.35, 0.98), (0.75, 0.9)),
                *((0.75, 0.6), (0.45, 0.5), (0.2, 0.7)),
            )
        ],
        [
            curve(
                *((0.4, 0), (0.22, 0.4), (0.22, 0.85), (0.5, 1), (0.75, 0.8)),
                *((0.55, 0.58), (0.22, 0.72)),
            )
        ],
        [line((0.6, 0), (0.25, 0.6)), ring(0.5, 0.72, 0.55, 0.54, start=200)],
        [
            curve(
                *((0.8, 0.1), (0.6, 0), (0.25, 0.25), (0.15, 0.65), (0.4, 1)),
                *((0.8, 0.8), (0.6, 0.5), (0.2, 0.65)),
            )
        ],
    ],
    7: [
        [line((0.1, 0.05), (0.85, 0.05), (0.4, 1))],
        [line((0.1, 0.05), (0.85, 0.05), (0.4, 1)), line((0.3, 0.5), (0.8, 0.5))],
        [joined(line((0.1, 0.1), (0.8, 0)), curve((0.8, 0), (0.55, 0.45), (0.45, 1)))],
        [line((0.15, 0.2), (0.15, 0.05), (0.85, 0.05), (0.5, 1))],
        [
            joined(
                curve((0.1, 0.12), (0.3, 0.03), (0.55, 0.1), (0.85, 0.02)),
                line((0.85, 0.02), (0.35, 1)),
            ),
            line((0.35, 0.55), (0.75, 0.48)),
        ],
    ],
    8: [
        [ring(0.5, 0.25, 0.5, 0.5), ring(0.5, 0.75, 0.6, 0.5)],
        [
            curve(
                *((0.7, 0.12), (0.45, 0), (0.25, 0.2), (0.5, 0.47), (0.75, 0.75), (0.5, 1)),
                *((0.25, 0.78), (0.5, 0.5), (0.75, 0.22), (0.68, 0.08)),
            )
        ],
        [
            curve(
                *((0.5, 0.48), (0.25, 0.25), (0.5, 0), (0.75, 0.22), (0.5, 0.48)),
                *((0.2, 0.78), (0.5, 1), (0.8, 0.78), (0.5, 0.48)),
            )
        ],
        [
            curve(
                *((0.8, 0.05), (0.5, 0), (0.3, 0.2), (0.5, 0.45), (0.65, 0.75), (0.4, 1)),
                *((0.2, 0.8), (0.45, 0.5), (0.8, 0.15)),
            )
        ],
        [ring(0.5, 0.22, 0.4, 0.44, start=90), ring(0.5, 0.72, 0.5, 0.56)],
    ],
    9: [
        [
            curve(
                *((0.75, 0.2), (0.45, 0), (0.2, 0.25), (0.4, 0.5), (0.72, 0.3)),
                *((0.75, 0.2), (0.72, 0.6), (0.65, 1)),
            )
        ],
        [ring(0.45, 0.27, 0.5, 0.54, start=0), line((0.7, 0.2), (0.7, 1))],
        [
            ring(0.5, 0.25, 0.55, 0.5, start=0),
            curve((0.77, 0.25), (0.75, 0.7), (0.5, 0.98), (0.2, 0.9)),
        ],
        [
            joined(
                curve((0.75, 0.1), (0.4, 0), (0.2, 0.3), (0.45, 0.48), (0.75, 0.1)),
                line((0.75, 0.1), (0.6, 1)),
            )
        ],
        [
            joined(
                curve((0.8, 0.12), (0.5, 0), (0.2, 0.2), (0.35, 0.45), (0.7, 0.4), (0.8, 0.12)),
                curve((0.8, 0.12), (0.75, 0.55), (0.45, 1)),
            )
        ],
    ],
}


def vary(strokes: Sequence[Points], generator: np.random.Generator) -> list[Points]:
    """Return a digit turned, slanted, stretched and sized by chance, somewhere on the pad."""
    turn, slant = np.radians(generator.uniform(-10, 10)), generator.uniform(-0.25, 0.25)
    height, stretch = generator.uniform(0.35, 0.9), generator.uniform(0.6, 0.9)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shape = turned @ np.array([[1, -slant], [0, 1]]) @ np.diag([stretch, 1])
    moved = [stroke @ shape.T for stroke in strokes]
    points = np.concatenate(moved)
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    scale = height / extent.max()
    margin = 0.04  # half of the pen
    place = generator.uniform(margin, 1 - margin - scale * extent)
    return [place + scale * (stroke - low) for stroke in moved]


def drawings(times: int, seed: int = 0) -> Iterator[Drawing]:
    """Yield each way to write each digit several times, each time varied by chance."""
    generator = np.random.default_rng(seed)
    for _ in range(times):
        for label, ways in WAYS.items():
            for strokes in ways:
                yield Drawing(vary(strokes, generator), label)
