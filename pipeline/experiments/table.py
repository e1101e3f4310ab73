"""The table of results, as Markdown."""

import json
from collections.abc import Iterable, Mapping

from pipeline.experiments.definitions import LESSON, Experiment
from pipeline.review.markdown import escape, table
from pipeline.tracking.experiment_results import Result

HEADER = [
    "experiment",
    "what it changes",
    "training images",
    "weights",
    "test accuracy",
    "errors",
    "validation accuracy",
    "training time",
]
UNKNOWN = "?"
NOT_RUN = ["", "not run", "", "", ""]


def results_table(experiments: Iterable[Experiment], results: Mapping[str, Result]) -> str:
    """Return a table with a row for each experiment.

    Args:
        experiments: in the order of the rows.
        results: what they reached, by their names; those that are not among them were not run.
            The lesson's training is the unit of time.
    """
    unit = results[LESSON].seconds if LESSON in results else None
    shown = list(experiments)
    rows = [
        _row(one, shown[:place], results.get(one.name), unit) for place, one in enumerate(shown)
    ]
    return table(HEADER, rows)


def _row(
    experiment: Experiment, before: Iterable[Experiment], result: Result | None, unit: float | None
) -> list[str]:
    return [
        f"`{experiment.name}`: {escape(experiment.description)}",
        _changes(experiment, before),
        _count(experiment.params.prepare.train_samples),
        *(_reached(result, unit) if result else NOT_RUN),
    ]


def _changes(experiment: Experiment, before: Iterable[Experiment]) -> str:
    """Return what it changes of the lesson, or, if that is less, of one of those before it."""
    like, changes = "", experiment.changes
    for other in before:
        fewer = experiment.changes_from(other.params)
        if len(fewer) < len(changes):
            like, changes = f"`{other.name}`, but ", fewer
    words = [f"`{name.partition('.')[2]}: {_plain(value)}`" for name, value in changes.items()]
    return like + ", ".join(words)


def _reached(result: Result, unit: float | None) -> list[str]:
    ratio = result.seconds / unit if result.seconds and unit else None
    return [
        UNKNOWN if result.weights is None else f"{result.weights:,}",
        f"{result.accuracy:.4f} ({result.accuracy_low:.4f} to {result.accuracy_high:.4f})",
        f"{result.errors:,}",
        f"{result.val_accuracy:.4f}",
        UNKNOWN if ratio is None else f"{float(f'{ratio:.2g}'):g}",
    ]


def _count(samples: int | str) -> str:
    return samples if isinstance(samples, str) else f"{samples:,}"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
