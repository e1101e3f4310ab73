"""What a reviewer may conclude: is the model better, and is the change?

Whether this *model* is better on these images, a paired test tells. Whether the *change* is better,
or another seed would have done the same, only the spread over seeds tells; so where that is known
it decides, and where it is not, the verdict says what is missing.
"""

from dataclasses import dataclass
from enum import Enum

import pandas as pd

from pipeline.core.package import command
from pipeline.data.paths import RAW
from pipeline.model.paths import MODEL
from pipeline.provenance.packages import WITHOUT_RESULTS
from pipeline.provenance.spread import SEED
from pipeline.review.changes import changed_packages, changed_params
from pipeline.review.revision import Revision
from pipeline.statistics import paired, unpaired
from pipeline.statistics.difference import Difference
from pipeline.statistics.significance import against_spread, between_spreads, seeds_needed

LEVEL = 0.05  # of every test, and 1 - LEVEL of every interval
SEEDS_COMMAND = command("seeds", "--seeds", "5")


class Verdict(Enum):
    """The possible conclusions, each in words."""

    REAL_IMPROVEMENT = "A real improvement"
    REAL_REGRESSION = "A real regression"
    ONLY_MODEL_WORSE = "The change is better over seeds, but this model is worse"
    ONLY_MODEL_BETTER = "The change is worse over seeds, but this model is better"
    SEED_BETTER = "This model is better, but another seed could do the same"
    SEED_WORSE = "This model is worse, but another seed could do the same"
    NO_DIFFERENCE = "No difference on these images"
    UNKNOWN_BETTER = "This model is better, and nothing is known about seeds"
    UNKNOWN_WORSE = "This model is worse, and nothing is known about seeds"
    NOT_COMPARABLE = "Not comparable: another data set"


@dataclass(frozen=True)
class Judgement:
    """A verdict with its grounds.

    Attributes:
        verdict: the conclusion.
        images: the difference in accuracy (new minus old) on the test images that both share, or
            on those of each.
        shared: test images, the first ones, that both were tested on.
        pairs: of these, images fixed and broken; None where there are none.
        same_model: whether both states have the same model, tested on the same images.
        only_seed: whether nothing but the seed was changed.
        seeds: the difference against the spread over seeds; None where that says nothing.
        by_base: where both spreads are known, the new run against that of the old state alone,
            which the author of the change has not measured.
        needed: seeds on each side that would show a difference of this size; None where it was
            seen, or none would be enough.
    """

    verdict: Verdict
    images: Difference
    shared: int
    pairs: paired.Comparison | None
    same_model: bool
    only_seed: bool
    seeds: Difference | None
    by_base: Difference | None
    needed: int | None


def judge(old: Revision, new: Revision) -> Judgement:
    """Compare the test accuracy of two states."""
    shared = count_shared(old, new)
    pairs = paired.compare(*(first_errors(side, shared) for side in (old, new))) if shared else None
    images = _compare_images(old, new, pairs, shared)
    if is_another_task(old, new):
        verdict = Verdict.NOT_COMPARABLE
        return Judgement(verdict, images, 0, None, False, False, None, None, None)
    same_model = pairs is not None and _same_output(str(MODEL), old, new)
    only_seed = differ_in_seed_only(old, new)
    seeds = by_base = needed = None
    if not same_model and not only_seed:
        seeds = _compare_seeds(old, new)
        if old.spread and new.spread and pairs:
            accuracies = old.spread.accuracies
            by_base = against_spread(new.evaluation.accuracy, accuracies, 1 - LEVEL)
    if seeds and seeds.p_value >= LEVEL:
        needed = seeds_needed(seeds.difference, _pooled_std(old, new), LEVEL)
    verdict = decide(images, seeds, paired_images=same_images(old, new), only_seed=only_seed)
    return Judgement(verdict, images, shared, pairs, same_model, only_seed, seeds, by_base, needed)


def decide(
    images: Difference, seeds: Difference | None, *, paired_images: bool, only_seed: bool
) -> Verdict:
    """Conclude from the difference on the images and from that against the spread over seeds.

    On different images a difference beyond the spread may be the images', so it must also be
    beyond what these images leave open.
    """
    on_images = images.p_value < LEVEL
    if seeds and seeds.p_value < LEVEL and (paired_images or on_images):
        if on_images and (images.difference > 0) != (seeds.difference > 0):
            better = images.difference > 0
            return Verdict.ONLY_MODEL_BETTER if better else Verdict.ONLY_MODEL_WORSE
        better = seeds.difference > 0
        return Verdict.REAL_IMPROVEMENT if better else Verdict.REAL_REGRESSION
    if not on_images:
        return Verdict.NO_DIFFERENCE
    better = images.difference > 0
    if seeds or only_seed:
        return Verdict.SEED_BETTER if better else Verdict.SEED_WORSE
    return Verdict.UNKNOWN_BETTER if better else Verdict.UNKNOWN_WORSE


def same_images(old: Revision, new: Revision) -> bool:
    """Tell whether both states are known to be tested on the same images with the same labels."""
    counts = [list(revision.class_counts.values()) for revision in (old, new)]  # of any names
    same = old.test_digests == new.test_digests and counts[0] == counts[1]
    return same and all(old.test_digests)


def is_another_task(old: Revision, new: Revision) -> bool:
    """Tell whether two states are about other images or classes, so that no difference counts."""
    names = {"prepare.dataset", "prepare.image_size"} & old.params.keys() & new.params.keys()
    other = any(old.params[name] != new.params[name] for name in names)
    other_classes = old.class_counts.keys() != new.class_counts.keys()
    return (other or other_classes) and not same_images(old, new)


def count_shared(old: Revision, new: Revision) -> int:
    """Return how many test images, the first ones, both states are known to be tested on.

    The test images are the first of the raw ones, however many there are, unless another share of
    each class tests.
    """
    counts = [side.evaluation.samples for side in (old, new)]
    if same_images(old, new):
        return counts[0]
    folder = (RAW / str(new.params.get("prepare.dataset"))).as_posix()
    raw = [side.given.get(folder) for side in (old, new)]
    fractions = [side.params.get("prepare.test_fraction") for side in (old, new)]
    same_raw = raw[0] is not None and raw[0] == raw[1] and fractions[0] == fractions[1]
    same_raw = same_raw and not is_another_task(old, new)
    return min(counts) if same_raw and counts[0] != counts[1] else 0


def first_errors(revision: Revision, count: int) -> pd.DataFrame:
    """Return the rows of `errors.csv` of the first test images."""
    return revision.errors[revision.errors["image"] < count]


def differ_in_seed_only(old: Revision, new: Revision) -> bool:
    """Tell whether a seed is all that sets two states apart: same params, data, code, packages."""
    params = [name for name, *_ in changed_params(old, new)]
    packages = {name for name, *_ in changed_packages(old, new)}
    return params == [SEED] and old.given == new.given and packages <= WITHOUT_RESULTS


def _same_output(path: str, old: Revision, new: Revision) -> bool:
    return path in old.made and old.made[path] == new.made.get(path)


def _compare_images(
    old: Revision, new: Revision, pairs: paired.Comparison | None, shared: int
) -> Difference:
    if pairs is None:
        before = old.correct, old.evaluation.samples
        after = new.correct, new.evaluation.samples
        return unpaired.compare_rates(*before, *after, 1 - LEVEL)
    low, high = paired.difference_interval(pairs, shared, 1 - LEVEL)
    return Difference((pairs.fixed - pairs.broken) / shared, low, high, pairs.p_value)


def _compare_seeds(old: Revision, new: Revision) -> Difference | None:
    if old.spread and new.spread:
        return between_spreads(old.spread.accuracies, new.spread.accuracies, 1 - LEVEL)
    if old.spread:
        return against_spread(new.evaluation.accuracy, old.spread.accuracies, 1 - LEVEL)
    if new.spread:
        reverse = against_spread(old.evaluation.accuracy, new.spread.accuracies, 1 - LEVEL)
        return Difference(-reverse.difference, -reverse.high, -reverse.low, reverse.p_value)
    return None


def _pooled_std(old: Revision, new: Revision) -> float:
    """Return the standard deviation over seeds, from what is known of both sides."""
    known = [revision.spread for revision in (old, new) if revision.spread]
    squares = sum((spread.seeds - 1) * spread.accuracy_std**2 for spread in known)
    return float((squares / sum(spread.seeds - 1 for spread in known)) ** 0.5)
