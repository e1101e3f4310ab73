"""Tables of a report."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.review.tables import figures_table

ADDRESS = "https://github.com/owner/repository"


@pytest.fixture
def sides(tmp_path: Path) -> list[Any]:
    """Two states with a figure of their own, one that differs and one that does not.

    The new one also has a figure in a folder.
    """
    figures = {"old": {"removed": b"1", "loss": b"2", "same": b"3"}}
    figures["new"] = {"added": b"4", "loss": b"5", "same": b"3", "parts/first": b"6"}
    for name, contents in figures.items():
        folder = tmp_path / name / "metrics/figures"
        for figure, content in contents.items():
            path = folder / f"{figure}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return [
        SimpleNamespace(name=name, commit=name, folder=tmp_path / name) for name in ("old", "new")
    ]


def picture(side: str, figure: str) -> str:
    address = f"{ADDRESS}/raw/{side}/metrics/figures/{figure}.png"
    alt = f"{figure.rpartition('/')[2]} of {side}"
    return f'<img src="{address}" width="390" alt="{alt}">'


def test_figures_that_are_new_or_differ_are_linked_where_they_are(sides: list[Any]) -> None:
    old, new = sides

    assert figures_table(old, new, ADDRESS).splitlines() == [
        "| before | after |",
        "| --- | --- |",
        f"| no `added.png` | {picture('new', 'added')} |",
        f"| {picture('old', 'loss')} | {picture('new', 'loss')} |",
        f"| no `first.png` | {picture('new', 'parts/first')} |",
    ]


def test_without_an_address_or_a_commit_there_is_nothing_to_link(sides: list[Any]) -> None:
    old, new = sides
    new.commit = ""

    assert figures_table(old, new, ADDRESS) == ""
    assert figures_table(old, old, "") == ""
