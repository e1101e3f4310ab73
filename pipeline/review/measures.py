"""The metrics of two states side by side, with intervals, as rows of a table."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.core.intervals import wilson_interval
from pipeline.core.rounding import DIGITS
from pipeline.evaluation.scores import METRICS
from pipeline.provenance.results import flatten_numbers
from pipeline.review.revision import Revision

BY_KEY = {metric.key: metric for metric in METRICS}
LIMITS = {f"{m.key}_{limit}" for m in METRICS if m.share == "images" for limit in ("low", "high")}
SHOWN_DIGITS = 4  # of numbers that are not counts
VALIDATION = "val_"  # before the key of a metric, in the history

Interval = tuple[float, float] | None


class Shown(NamedTuple):
    """A metric of one state; its interval is None where Git holds too little to give one."""

    value: float | None
    interval: Interval = None
    better: str | None = None


@dataclass(frozen=True)
class Measure:
    """A metric before and after, None where it is missing; `better` says which way, if any."""

    name: str
    old: float | None
    new: float | None
    old_interval: Interval
    new_interval: Interval
    better: str | None

    @property
    def changed(self) -> bool:
        """Whether it differs in what `metrics/` shows of it."""
        if self.old is None or self.new is None:
            return self.old is not self.new
        both_none = math.isnan(self.old) and math.isnan(self.new)
        return not both_none and round(self.old, DIGITS) != round(self.new, DIGITS)

    @property
    def worse(self) -> bool:
        """Whether it changed for the worse, by as much as is shown; to be no number is worse."""
        if self.old is None or self.new is None or self.better is None:
            return False
        if math.isnan(self.new):
            return not math.isnan(self.old)
        difference = round(self.new - self.old, SHOWN_DIGITS)
        return bool(difference) and (difference > 0) != (self.better == "higher")


def compare_totals(old: Revision, new: Revision, level: float) -> list[Measure]:
    """Return all metrics but those by class; proportions have Wilson's interval at this level."""
    return _pair(dict(_totals(old, level)), dict(_totals(new, level)))


def compare_classes(old: Revision, new: Revision, level: float) -> list[Measure]:
    """Return the metrics of each class that both have, proportions with Wilson's interval."""
    classes = [name for name in new.class_counts if name in old.class_counts]
    return _pair(*(dict(_of_classes(side, classes, level)) for side in (old, new)))


def compare_spreads(old: Revision, new: Revision) -> list[Measure]:
    """Return means over seeds, with the interval that is recorded, and standard deviations."""
    return _pair(dict(_over_seeds(old)), dict(_over_seeds(new)))


def _pair(old: Mapping[str, Shown], new: Mapping[str, Shown]) -> list[Measure]:
    pairs = ((name, old.get(name), new.get(name)) for name in {**new, **old})
    missing = Shown(None)
    return [
        Measure(
            name,
            (before or missing).value,
            (after or missing).value,
            (before or missing).interval,
            (after or missing).interval,
            (after or before or missing).better,
        )
        for name, before, after in pairs
    ]


def _totals(revision: Revision, level: float) -> Iterator[tuple[str, Shown]]:
    evaluation = revision.evaluation.model_dump()
    tested = flatten_numbers({k: v for k, v in evaluation.items() if not _is_by_class(v, revision)})
    images = {"images": revision.evaluation.samples}
    for key in (key for key in BY_KEY if key in tested):
        yield f"test {_label(key)}", _show(key, tested[key], images, level)
    images = {"images": revision.val_samples}
    for column in map(str, revision.history.columns):
        if column.startswith(VALIDATION):
            key, last = column.removeprefix(VALIDATION), float(revision.history[column].iloc[-1])
            yield f"validation {_label(key)}, last epoch", _show(key, last, images, level)
    others = {key: value for key, value in tested.items() if key not in {*BY_KEY, *LIMITS}}
    files = {"test": others} | {path.stem: values for path, values in revision.results.items()}
    for prefix, values in files.items():
        for name, value in flatten_numbers(values).items():
            yield f"{prefix} {name}", Shown(value)


def _of_classes(
    revision: Revision, classes: list[str], level: float
) -> Iterator[tuple[str, Shown]]:
    missed = Counter(revision.errors["label"].tolist())
    taken = Counter(revision.errors["predicted"].tolist())
    evaluation = revision.evaluation.model_dump()
    by_class = {k: flatten_numbers(v) for k, v in evaluation.items() if _is_by_class(v, revision)}
    for name in classes:
        labelled = revision.class_counts[name]
        images = {"label": labelled, "predicted": labelled - missed[name] + taken[name]}
        for key, values in by_class.items():
            yield f"{_label(key)} of {name}", _show(key, values.get(name), images, level)


def _over_seeds(revision: Revision) -> Iterator[tuple[str, Shown]]:
    summary = revision.spread.summary if revision.spread else {}
    for key in (name.removesuffix("_mean") for name in summary if name.endswith("_mean")):
        limits = summary[f"{key}_low"], summary[f"{key}_high"]
        better = BY_KEY[key].better if key in BY_KEY else None
        yield f"mean test {_label(key)}", Shown(summary[f"{key}_mean"], limits, better)
        yield f"standard deviation of test {_label(key)}", Shown(summary[f"{key}_std"])


def _label(key: str) -> str:
    return BY_KEY[key].label if key in BY_KEY else key


def _show(key: str, value: float | None, images: Mapping[str, int], level: float) -> Shown:
    """Return a value, with its interval if it is a proportion of some of these images."""
    if key not in BY_KEY:
        return Shown(value)
    metric = BY_KEY[key]
    trials = images.get(metric.share) if metric.share else None
    if not trials or value is None or math.isnan(value):
        return Shown(value, None, metric.better)
    return Shown(value, wilson_interval(round(value * trials), trials, level), metric.better)


def _is_by_class(value: object, revision: Revision) -> bool:
    return isinstance(value, Mapping) and value.keys() <= revision.class_counts.keys()
