"""The metrics of two states side by side, with intervals, as rows of a table."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from pipeline.core.intervals import wilson_interval
from pipeline.review.revision import Revision

Rates = dict[str, tuple[int, int]]  # successes and trials by name
DIGITS = 6  # of what metrics/ holds


@dataclass(frozen=True)
class Measure:
    """A metric before and after; intervals are None where Git holds too little to give one."""

    name: str
    old: float
    new: float
    old_interval: tuple[float, float] | None
    new_interval: tuple[float, float] | None
    higher_is_better: bool

    @property
    def changed(self) -> bool:
        """Whether it differs in what `metrics/` shows of it."""
        both_none = math.isnan(self.old) and math.isnan(self.new)
        return not both_none and round(self.old, DIGITS) != round(self.new, DIGITS)

    @property
    def worse(self) -> bool:
        """Whether it changed for the worse, by however little; to be no number is worse."""
        if math.isnan(self.new):
            return not math.isnan(self.old)
        return self.changed and (self.new > self.old) != self.higher_is_better


def compare_totals(old: Revision, new: Revision, level: float) -> list[Measure]:
    """Return accuracies, with Wilson's score interval at this level, and what is best small."""
    plain = [
        Measure(name, before, after, None, None, higher_is_better=False)
        for (name, before), (_, after) in zip(_losses(old), _losses(new), strict=True)
    ]
    test, *validation = _compare_rates(_accuracies(old), _accuracies(new), level)
    return [test, *plain[:2], *validation, *plain[2:]]


def compare_classes(old: Revision, new: Revision, level: float) -> list[Measure]:
    """Return precision and recall of each class that both have, with Wilson's score interval."""
    return list(_compare_rates(_class_rates(old), _class_rates(new), level))


def _compare_rates(old: Rates, new: Rates, level: float) -> Iterator[Measure]:
    for name, (before, images_before) in old.items():
        if name in new:
            after, images_after = new[name]
            yield Measure(
                name,
                before / max(images_before, 1),
                after / max(images_after, 1),
                _interval(before, images_before, level),
                _interval(after, images_after, level),
                higher_is_better=True,
            )


def _interval(correct: int, images: int, level: float) -> tuple[float, float] | None:
    return wilson_interval(correct, images, level) if images else None


def _losses(revision: Revision) -> Iterator[tuple[str, float]]:
    evaluation = revision.evaluation
    yield "test loss", evaluation.loss
    yield "expected calibration error", evaluation.expected_calibration_error
    yield "validation loss, last epoch", float(revision.history["val_loss"].iloc[-1])


def _accuracies(revision: Revision) -> Rates:
    validated = revision.val_samples
    rates = {"test accuracy": (revision.correct, revision.evaluation.samples)}
    accuracy = revision.history["val_accuracy"].iloc[-1]
    if not math.isnan(accuracy):
        rates["validation accuracy, last epoch"] = round(accuracy * validated), validated
    return rates


def _class_rates(revision: Revision) -> Rates:
    missed = _count(revision.errors["label"])
    taken = _count(revision.errors["predicted"])
    rates = {}
    for label, images in revision.class_counts.items():
        right = images - missed[label]
        rates[f"recall of {label}"] = right, images
        rates[f"precision of {label}"] = right, right + taken[label]
    return rates


def _count(labels: "pd.Series[str]") -> Counter[str]:
    return Counter(labels.tolist())
