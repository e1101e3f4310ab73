"""List HEAD, the working tree and all DVC experiments: what differs, and the test accuracy."""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.core import stage
from pipeline.core.errors import PipelineError
from pipeline.core.package import command
from pipeline.core.params import PARAMS
from pipeline.evaluation.paths import EVALUATION
from pipeline.provenance.commits import experiments
from pipeline.provenance.git import git, read, resolve
from pipeline.provenance.origin import describe_changes, flatten_sections, params_at, parse_yaml

WIDEST = 120
HEADER = ("what differs from HEAD", "experiment", "test accuracy", "errors")


class Row(NamedTuple):
    """A state: what sets it apart from HEAD, its name, and its test metrics, if it has any."""

    changes: str
    name: str
    metrics: Mapping[str, float]


def main() -> None:
    """Print the table, the best first."""
    argparse.ArgumentParser(prog=command("experiments.compare"), description=__doc__).parse_args()
    if not resolve("HEAD"):
        raise PipelineError("there is no commit to compare with")
    console = Console(highlight=False)
    # Into a pipe, there is no width to keep to but the widest.
    console.width = min(console.width, WIDEST) if console.is_terminal else WIDEST
    console.print(make_table(_read_rows()))


def make_table(rows: Iterator[Row]) -> Table:
    """Return the rows as a table, those with the highest accuracy first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in HEADER:
        table.add_column(title, overflow="fold", justify="right" if title == "errors" else "left")
    for row in sorted(rows, key=lambda row: -row.metrics.get("accuracy", -1)):
        style = "bold" if row.name == "HEAD" else ""
        cells = (row.changes, row.name, *_describe(row.metrics))
        # What a branch has as a param must not steer the terminal.
        table.add_row(*(Text("".join(filter(str.isprintable, c)), style=style) for c in cells))
    return table


def _describe(metrics: Mapping[str, float]) -> tuple[str, str]:
    try:
        value, low, high = (metrics[f"accuracy{part}"] for part in ("", "_low", "_high"))
        return f"{value:.4f} ({low:.4f} to {high:.4f})", f"{metrics['errors']:,}"
    except (LookupError, ValueError, TypeError):
        return "no metrics", ""


def _read_rows() -> Iterator[Row]:
    base = params_at("HEAD")
    yield Row("", "HEAD", _parse(read(resolve("HEAD"), EVALUATION)))
    if git("status", "--porcelain", "--", str(PARAMS), str(EVALUATION)):
        present = flatten_sections(parse_yaml(_text(PARAMS)))
        yield Row(describe_changes(present, base), "(working tree)", _parse(_text(EVALUATION)))
    for commit in experiments():
        changes = describe_changes(params_at(commit.sha), base)
        yield Row(changes, commit.experiment, _parse(read(commit.sha, EVALUATION)))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _parse(text: str) -> dict[str, float]:
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(values, dict):
        return {}
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


if __name__ == "__main__":
    stage.run(main)
