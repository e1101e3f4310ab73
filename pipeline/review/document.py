"""The report: what it finds, and how it is put together."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.core import files
from pipeline.provenance.packages import EFFECTS, find_unlocked
from pipeline.provenance.paths import PACKAGES
from pipeline.provenance.truth import find_edited, find_false
from pipeline.review import changes, measures, pictures, tables, text_pictures, verdict, wording
from pipeline.review.markdown import folded, sentence
from pipeline.review.mlflow_runs import Lookup
from pipeline.review.reproduction import Reproduction, check_reproduction
from pipeline.review.revision import Revision
from pipeline.review.undeclared import Check, read_check
from pipeline.statistics import paired

REPORT = "report.md"
SHOWN = 10  # warnings of one kind
# Characters of what is printed. GitHub takes 65,536 in a comment, of which the workflow needs some.
LIMIT = 55_000
LEFT_OUT = "_A section that is too long for a comment is in the report of `--output DIR`._"


@dataclass(frozen=True)
class Findings:
    """What a report says, before it is said.

    Attributes:
        judgement: the verdict and its grounds.
        stale: in what the new state's `dvc.lock` is out of date, or its metrics are not its own.
        warnings: what else a reviewer needs to know.
        reproduction: what `dvc repro` gave here, if that was asked for.
    """

    judgement: verdict.Judgement
    stale: list[str]
    warnings: list[str]
    reproduction: Reproduction | None


def find(old: Revision, new: Revision, here: Revision | None, check: Check) -> Findings:
    """Compare two states, the new one also with what `dvc repro` made of it here.

    Args:
        old: the base.
        new: the head.
        here: what the working tree holds, if that is a reproduction of the head.
        check: of what the head declares.
    """
    stale = [*find_false(new), *find_edited(new), *read_check(check)]
    reproduction = check_reproduction(new, here, old.spread or new.spread) if here else None
    if reproduction and reproduction.refuted:
        stale.append(reproduction.text)
    judgement = verdict.judge(old, new)
    return Findings(judgement, stale, list(_warnings(old, new, judgement)), reproduction)


def _warnings(old: Revision, new: Revision, judgement: verdict.Judgement) -> Iterator[str]:
    comparable = judgement.verdict is not verdict.Verdict.NOT_COMPARABLE
    if comparable and new.evaluation.samples < old.evaluation.samples:
        yield (
            f"It was tested on {new.evaluation.samples:,} images instead of "
            f"{old.evaluation.samples:,}, which show less of a difference"
        )
    base_faults = [*find_false(old), *find_edited(old)]
    if base_faults:
        yield f"The base itself is stale: {base_faults[0]}" + (
            f", and {len(base_faults) - 1} more" if len(base_faults) > 1 else ""
        )
    if new.params.get("prepare.val_from") == "test":
        yield (
            "It validates on test images (`prepare.val_from: test`), so what was chosen by "
            "validation has seen them, and the test accuracy is too good"
        )
    for name, before, after in changes.changed_packages(old, new):
        effect = EFFECTS[name]
        yield f"`{PACKAGES}` has {name} {after} instead of {before}, which may change {effect}"
    if new.folder == Path():
        yield from find_unlocked()
    missed = comparable and not (judgement.seeds or judgement.same_model or judgement.only_seed)
    if missed and new.recorded and not new.spread:
        yield (
            "`metrics/seeds.json` belongs to another state, so it is not used for this one; "
            f"`{verdict.SEEDS_COMMAND}` renews it"
        )


def write(
    old: Revision, new: Revision, findings: Findings, lookup: Lookup, folder: Path | None
) -> None:
    """Print the report, as a comment that fits; write all of it into a folder, with pictures."""
    judgement, level = findings.judgement, 1 - verdict.LEVEL
    same_names = old.class_counts.keys() == new.class_counts.keys()
    whole = judgement.shared == old.evaluation.samples == new.evaluation.samples
    judged = judgement.verdict is not verdict.Verdict.NOT_COMPARABLE
    table = partial(tables.measures_table, judged=judged)
    figures = tables.figures_table(old, new, _github())
    spreads = measures.compare_spreads(old, new)
    sections = [
        wording.headline(old, new, judgement, stale=bool(findings.stale)),
        wording.evidence(old, new, judgement),
        _alerts(findings),
        "### What was changed",
        tables.params_table(changes.changed_params(old, new)),
        folded("Stages", tables.stages_table(changes.changed_stages(old, new))),
        "### What it did to the metrics",
        table(measures.compare_totals(old, new, level)),
        _compare_recalls(old, new, level) if judgement.pairs and whole and same_names else "",
        folded(
            "Metrics of each class, with intervals",
            table(measures.compare_classes(old, new, level)),
        ),
        folded("Over seeds", table(spreads)) if spreads else "",
        folded("Figures before and after", figures) if figures else "",
    ]
    changed = pictures.find_changed(old, new, judgement)
    drawn = [*pictures.draw(old, new, changed, folder)] if folder else []
    if folder:  # before the first line is printed: who reads it may leave
        files.write_text(folder / REPORT, _join([*sections, *drawn]))
    shown = text_pictures.show_pictures(old, new, changed)
    print(_join(shorten([*sections, *shown])), end="", flush=True)
    runs = tables.runs_list(old, new, lookup.answer())  # the last, as it may take seconds
    if runs and folder:
        files.write_text(folder / REPORT, _join([*sections, *drawn, runs]))
    if runs:
        print(f"\n{runs}", flush=True)


def shorten(sections: Sequence[str], limit: int = LIMIT) -> list[str]:
    """Leave out the longest sections of a report until it fits into a comment.

    Args:
        sections: in Markdown.
        limit: characters that all of them may have.
    """
    kept = list(sections)
    while sum(map(len, kept)) > limit and max(map(len, kept)) > len(LEFT_OUT):
        longest = max(range(len(kept)), key=lambda index: len(kept[index]))
        kept[longest] = LEFT_OUT
    return kept


def _compare_recalls(old: Revision, new: Revision, level: float) -> str:
    classes = paired.compare_classes(old.errors, new.errors, new.class_counts, level)
    return tables.recall_table(classes)


def _join(sections: Iterable[str]) -> str:
    return "\n\n".join(filter(None, sections)) + "\n"


def _alerts(findings: Findings) -> str:
    """Return the warnings as one of GitHub's alerts, which are quotations elsewhere."""
    lines = [
        f"`dvc.lock` or `metrics/` is **stale**: {sentence(fault)}"
        for fault in findings.stale[:SHOWN]
    ]
    if len(findings.stale) > SHOWN:
        lines.append(f"... and {len(findings.stale) - SHOWN} more like these")
    if findings.stale:
        lines.append("Type `dvc repro` and commit `params.yaml`, `dvc.lock` and `metrics/`")
    lines += map(sentence, findings.warnings)
    reproduction = findings.reproduction
    if reproduction and not reproduction.refuted and not reproduction.exact:
        lines.append(reproduction.text)
    text = "\n".join(f"> - {line}" for line in lines)
    alert = f"> [!WARNING]\n{text}" if lines else ""
    return _join([alert, reproduction.text]) if reproduction and reproduction.exact else alert


def _github() -> str:
    """Return the address of the repository on GitHub, where a workflow runs; otherwise nothing."""
    server, repository = (os.environ.get(f"GITHUB_{key}") for key in ("SERVER_URL", "REPOSITORY"))
    return f"{server}/{repository}" if server and repository else ""
