"""The tables of the report, as Markdown."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from pipeline.figures.paths import FIGURES
from pipeline.review.changes import StageChange
from pipeline.review.markdown import code, escape, folded, literal, sentence, table
from pipeline.review.measures import Measure
from pipeline.review.revision import Revision
from pipeline.review.verdict import LEVEL


def params_table(changes: Sequence[tuple[str, object, object]]) -> str:
    """Return the params that changed."""
    if not changes:
        return "No param was changed."
    rows = [(code(name), code(old), code(new)) for name, old, new in changes]
    return table(["param", "before", "after"], rows)


def measures_table(measures: Sequence[Measure], *, judged: bool = True) -> str:
    """Return the metrics that changed, with those that did not folded away.

    The mark of a worse one is not bold: it tells the direction, and nothing about chance.

    Args:
        measures: of two states.
        judged: whether worse ones are marked.
    """
    changed = [measure for measure in measures if measure.changed]
    same = [measure for measure in measures if not measure.changed]
    text = table(
        ["metric", "before", "after", "change", ""],
        [
            (
                literal(m.name),
                _with_interval(m.old, m.old_interval),
                _with_interval(m.new, m.new_interval),
                change_of(m),
                "worse" if judged and m.worse else "",
            )
            for m in changed
        ],
    )
    parts = [text] if changed else ["No metric changed."]
    if same:
        rows = [(literal(m.name), _with_interval(m.new, m.new_interval)) for m in same]
        parts.append(folded(f"{len(same)} unchanged", table(["metric", "value"], rows)))
    return "\n\n".join(parts)


def recall_table(classes: pd.DataFrame) -> str:
    """Return what happened to each class: those that differ for sure, and all of them folded."""
    rows = [
        (
            literal(str(label)),
            f"{row['images']:,.0f}",
            *(_recall(row, side) for side in ("before", "after")),
            f"{row['fixed']:.0f}",
            f"{row['broken']:.0f}",
            p_value(row["p_value"]).removeprefix("= "),
            _mark(row),
        )
        for label, row in classes.iterrows()
    ]
    header = ["class", "images", "recall before", "after", "fixed", "broken", "p, corrected", ""]
    sure = [row for row in rows if row[-1]]
    count = len(rows)
    note = f"beyond chance on these images, corrected for comparing {count} classes (Holm)"
    every = folded(f"All {count} classes", table(header, rows))
    if not sure:
        return f"No class differs {note}.\n\n{every}"
    return f"Classes that differ {note}:\n\n{table(header, sure)}\n\n{every}"


def stages_table(stages: Sequence[StageChange]) -> str:
    """Return which stages changed and why."""
    return table(
        ["stage", "ran again because of", "outputs that changed"],
        [(literal(s.stage), _reasons(s) or "—", _short(s.outputs) or "none") for s in stages],
    )


def figures_table(old: Revision, new: Revision, address: str) -> str:
    """Return the figures in Git that are new or differ, linked at their commits.

    One that is no longer drawn is left out. Nothing where none is new or differs, or there is no
    address of a repository, or no commit, to link to.
    """
    if not (address and old.commit and new.commit):
        return ""
    drawn = (new.folder / FIGURES).rglob("*.png")
    rows = [
        [_picture(address, side, path) for side in (old, new)]
        for path in sorted(one.relative_to(new.folder) for one in drawn)
        if _bytes(old.folder / path) != _bytes(new.folder / path)
    ]
    return table(["before", "after"], rows) if rows else ""


def runs_list(old: Revision, new: Revision, found: Mapping[str, str] | str) -> str:
    """Return where MLflow has the runs of both states; nothing where it has none."""
    if isinstance(found, str):
        return sentence(found)
    if not found:
        return ""
    sides = (("before", old), ("after", new))
    lines = [f"- {when}: {escape(found.get(side.state_id, 'has no run'))}" for when, side in sides]
    return "### MLflow runs\n\n" + "\n".join(lines)


def p_value(value: float) -> str:
    """Return a p-value with two digits, and no more zeros than anybody reads."""
    return f"= {value:.2g}" if value >= 1e-4 else "< 0.0001"


def shown_value(value: float | None) -> str:
    """Return a metric: a count as it is, another with four digits."""
    if value is None:
        return "missing"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def change_of(measure: Measure) -> str:
    """Return by how much a metric changed; nothing where it is missing on a side."""
    if measure.old is None or measure.new is None:
        return ""
    difference = measure.new - measure.old
    return f"{difference:+,}" if isinstance(difference, int) else f"{difference:+.4f}"


def _with_interval(value: float | None, limits: tuple[float, float] | None) -> str:
    return shown_value(value) + (f" ({limits[0]:.4f} to {limits[1]:.4f})" if limits else "")


def _recall(row: "pd.Series[float]", side: str) -> str:
    value, low, high = (row[f"recall_{side}{part}"] for part in ("", "_low", "_high"))
    return _with_interval(value, (low, high))


def _mark(row: "pd.Series[float]") -> str:
    if row["p_value"] >= LEVEL:
        return ""
    return "**worse**" if row["broken"] > row["fixed"] else "**better**"


def _reasons(stage: StageChange) -> str:
    kinds = {
        "param": stage.params,
        "command": stage.command,
        "code": stage.code,
        "data": stage.data,
        "earlier outputs": stage.upstream,
    }
    return "; ".join(f"{kind}: {_short(names)}" for kind, names in kinds.items() if names)


def _short(names: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(code(name) for name in names[:shown]) + more


def _picture(address: str, revision: Revision, path: Path) -> str:
    if not (revision.folder / path).is_file():
        return f"no {code(path.name)}"
    alt = html.escape(f"{path.stem.replace('_', ' ')} of {revision.name}")
    source = f"{address}/raw/{revision.commit}/{quote(path.as_posix())}"
    return f'<img src="{source}" width="390" alt="{alt}">'


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
