"""The report in short, for a terminal."""

import json

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table
from rich.theme import Theme

from pipeline.review import changes, measures, wording
from pipeline.review.document import Findings
from pipeline.review.markdown import sentence
from pipeline.review.measures import Measure
from pipeline.review.mlflow_runs import Lookup
from pipeline.review.revision import Revision
from pipeline.review.tables import change_of, shown_value
from pipeline.review.verdict import LEVEL, Verdict

WIDEST = 100
METRICS, LINES = 5, 3  # metrics shown; warnings shown
VERDICT_STYLES = {
    Verdict.REAL_IMPROVEMENT: "bold green",
    Verdict.REAL_REGRESSION: "bold red",
    Verdict.ONLY_MODEL_WORSE: "bold red",
    Verdict.UNKNOWN_WORSE: "bold yellow",
}


def show(old: Revision, new: Revision, findings: Findings, lookup: Lookup) -> None:
    """Print verdict, grounds, changed params and the first metrics, in colour where that is wanted.

    Args:
        old: the base.
        new: the head.
        findings: about the two.
        lookup: of their MLflow runs, which is waited for last.
    """
    console = Console(highlight=False, theme=Theme({"markdown.code": "cyan"}))
    console.width = min(console.width, WIDEST)
    judgement = findings.judgement
    if findings.stale:
        stale = "Stale: these are not the metrics of this state; dvc repro makes them"
        console.print(stale, style="bold yellow")
    style = VERDICT_STYLES.get(judgement.verdict, "bold")
    console.print(wording.title(judgement), style=style, markup=False)
    _print_markdown(console, wording.accuracies(old, new, judgement))
    _print_markdown(console, wording.evidence(old, new, judgement))
    _print_warnings(console, findings)
    _print_params(console, old, new)
    shared = judgement.verdict is not Verdict.NOT_COMPARABLE
    hidden = _print_metrics(console, old, new, judged=shared)
    rest = f"{hidden} more metrics, each class, stages: the same command with `| less`"
    console.print(f"\n{rest}; pictures: with `--output DIR`", style="dim", markup=False)
    found = lookup.answer()
    if isinstance(found, dict) and new.state_id in found:
        console.print(f"MLflow: {found[new.state_id]}", style="dim", markup=False, soft_wrap=True)
    elif isinstance(found, str):
        console.print(printable(found), style="dim", markup=False, soft_wrap=True)


def printable(text: str) -> str:
    """Return text without what would steer a terminal."""
    return "".join(character for character in text if character.isprintable() or character == "\n")


def _print_markdown(console: Console, text: str) -> None:
    console.print(Markdown(printable(text)))


def _print_warnings(console: Console, findings: Findings) -> None:
    lines = [*findings.stale, *findings.warnings]
    if findings.reproduction and not findings.reproduction.refuted:
        lines.insert(0, findings.reproduction.text)
    shown = [f"- {sentence(line)}" for line in lines[:LINES]]
    if len(lines) > LINES:
        shown.append(f"- and {len(lines) - LINES} more")
    if shown:
        _print_markdown(console, "\n".join(shown))


def _print_params(console: Console, old: Revision, new: Revision) -> None:
    changed = changes.changed_params(old, new)
    console.print()
    if not changed:
        console.print("No param was changed.")
        return
    table = _grid()
    for name, before, after in changed:
        texts = (printable(text) for text in (name, _plain(before), "→", _plain(after)))
        table.add_row(*map(escape, texts))
    console.print(table)


def _print_metrics(console: Console, old: Revision, new: Revision, *, judged: bool) -> int:
    """Print the first metrics, and return how many there are besides."""
    totals = measures.compare_totals(old, new, 1 - LEVEL)
    first = sorted(totals, key=lambda measure: measure.better is None)[:METRICS]
    table = _grid()
    for measure in first:
        values = shown_value(measure.old), "→", shown_value(measure.new)
        table.add_row(escape(printable(measure.name)), *values, _arrow(measure, judged=judged))
    console.print()
    console.print(table)
    return len(totals) - len(first)


def _grid() -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(overflow="fold")
    table.add_column(justify="right", style="dim", overflow="fold")
    table.add_column(style="dim")
    table.add_column(justify="right", overflow="fold")
    table.add_column()
    return table


def _arrow(measure: Measure, *, judged: bool) -> str:
    difference = change_of(measure)
    if not measure.changed or not difference:
        return "[dim]=[/]" if not measure.changed else ""
    text = f"{'▼' if difference.startswith('-') else '▲'} {difference}"
    if not judged or measure.better is None:
        return text
    return f"[{'red' if measure.worse else 'green'}]{text}[/]"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
