"""Tables of a report."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from markdown_it import MarkdownIt

from pipeline.review.changes import StageChange
from pipeline.review.markdown import escape, literal, sentence
from pipeline.review.tables import figures_table, params_table, runs_list, stages_table

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


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "[click](https://digits.example.com)",
    "![seen](https://digits.example.com/pixel.png)",
    "`</code><script>alert(1)</script>",
    "a | b |\n| --- | --- |\n| c | d",
    "**bold** <!-- hidden",
    "&lt;b&gt; \\<b>",
]
MADE = re.compile(r"<(script|img|a|strong|b)\b|<!--")


@pytest.mark.parametrize("text", HOSTILE)
def test_what_comes_from_files_is_shown_as_text(text: str) -> None:
    """As CommonMark reads it, with tables and HTML as GitHub has them."""
    stage = StageChange(text, [text], [text], [text], [text], [text], [text])
    side: Any = SimpleNamespace(state_id="1")
    parts = {
        "params": params_table([(text, text, text)]),
        "stages": stages_table([stage]),
        "runs": runs_list(side, side, {"1": text}),
        "no runs": runs_list(side, side, text),
        "name": literal(text),
        "title": f"From {escape(text)} to {escape(text)}.",
        "alert": f"> - {sentence(f'train.seed is {text}; `dvc repro` mends it')}",
    }
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    for name, part in parts.items():
        shown = markdown.render(part)
        assert not MADE.search(shown), (name, shown)
        assert shown.count("<tr>") in (0, 2), (name, shown)


def test_a_figure_is_linked_by_its_name_whatever_that_is(sides: list[Any]) -> None:
    old, new = sides
    (new.folder / 'metrics/figures/x" onload="alert(1).png').write_bytes(b"7")

    (line,) = [one for one in figures_table(old, new, ADDRESS).splitlines() if "onload" in one]
    _, image, *_ = line.strip("| ").split(" | ")

    assert image.count('"') == 6  # around address, width and text
    assert "x%22%20onload%3D%22alert%281%29.png" in image
