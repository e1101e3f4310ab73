"""Tables of a report."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.review.tables import figures_table

ADDRESS = "https://github.com/owner/repository"


@pytest.fixture
def sides(tmp_path: Path) -> list[Any]:
    """Two states with one figure of their own, one that differs and one that does not."""
    figures = {"old": {"removed": b"1", "loss": b"2", "same": b"3"}}
    figures["new"] = {"added": b"4", "loss": b"5", "same": b"3"}
    for name, contents in figures.items():
        folder = tmp_path / name / "metrics/figures"
        folder.mkdir(parents=True)
        for figure, content in contents.items():
            (folder / f"{figure}.png").write_bytes(content)
    return [
        SimpleNamespace(name=name, commit=name, folder=tmp_path / name) for name in ("old", "new")
    ]


def picture(side: str, figure: str) -> str:
    address = f"{ADDRESS}/raw/{side}/metrics/figures/{figure}.png"
    return f'<img src="{address}" width="390" alt="{figure} of {side}">'


def test_figures_that_differ_are_linked_where_they_are(sides: list[Any]) -> None:
    old, new = sides

    assert figures_table(old, new, ADDRESS).splitlines() == [
        "| before | after |",
        "| --- | --- |",
        f"| no `added.png` | {picture('new', 'added')} |",
        f"| {picture('old', 'loss')} | {picture('new', 'loss')} |",
        f"| {picture('old', 'removed')} | no `removed.png` |",
    ]


def test_without_an_address_or_a_commit_there_is_nothing_to_link(sides: list[Any]) -> None:
    old, new = sides
    new.commit = ""

    assert figures_table(old, new, ADDRESS) == ""
    assert figures_table(old, old, "") == ""
