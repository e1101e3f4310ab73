"""Markdown tables."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple


class Target(NamedTuple):
    """What is to be reached, such as at most 1.5 s, and what was measured."""

    name: str
    limit: str
    measured: str
    reached: bool


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table; all columns but the first are aligned to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(header))]

    def join(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([join(lines[0]), join(rule), *map(join, lines[1:])])


def number(value: float) -> str:
    """Format a value with three significant digits, or without decimals above 100."""
    return f"{value:.0f}" if value >= 100 else f"{value:.{1 if value >= 10 else 2}f}"


def row_of_medians(name: str, columns: Iterable[Sequence[float]]) -> list[str]:
    """Format the medians of the columns."""
    return [name, *(number(median(column)) for column in columns)]


def table_of_targets(targets: Iterable[Target]) -> str:
    """Format what was to be reached, and whether it was."""
    rows = ((t.name, t.limit, t.measured, "yes" if t.reached else "no") for t in targets)
    return table(["", "target", "measured", "reached"], rows)
