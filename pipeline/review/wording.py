"""The verdict and its grounds, in words."""

from pipeline.provenance.spread import Spread
from pipeline.review.markdown import escape
from pipeline.review.revision import Revision
from pipeline.review.tables import p_value
from pipeline.review.verdict import LEVEL, SEEDS_COMMAND, Judgement, Verdict, first_errors
from pipeline.statistics.difference import Difference
from pipeline.statistics.significance import prediction_interval

FEW = 5  # seeds, below which the spread itself is hardly known
INTERVAL = f"{100 * (1 - LEVEL):g}% interval"


def headline(old: Revision, new: Revision, judgement: Judgement, *, stale: bool) -> str:
    """Say the verdict, and what happened to the test accuracy."""
    verdict = f"## {title(judgement)}"
    if stale:
        verdict = (
            "## Stale: these are not the metrics of this state\n\n"
            f"What they say: **{title(judgement)}**."
        )
    return f"{verdict}\n\n{accuracies(old, new, judgement)}"


def accuracies(old: Revision, new: Revision, judgement: Judgement) -> str:
    """Say what happened to the test accuracy, on which images, and of which states."""
    sides, shared = (old, new), judgement.shared
    before, after = (side.evaluation.accuracy for side in sides)
    names = f"From {escape(old.name)} to {escape(new.name)}."
    if judgement.verdict is Verdict.NOT_COMPARABLE:
        tested = f"{_tested_on(old)}, and {after:.4f} on {_tested_on(new)}"
        return f"Test accuracy {before:.4f} on {tested}. {names}"
    counts = [side.evaluation.samples for side in sides]
    images = " and ".join(f"{count:,}" for count in dict.fromkeys(counts)) + " test images"
    if shared and shared < max(counts):
        before, after = (1 - len(first_errors(side, shared)) / shared for side in sides)
        images = f"the first {shared:,} test images, which both were tested on"
    change = points(judgement.images.difference)
    return (
        f"Test accuracy **{before:.4f} → {after:.4f}**: {change} ({interval(judgement.images)}) "
        f"on {images}. {names}"
    )


def title(judgement: Judgement) -> str:
    """Return the verdict about the change, which a reader of ten seconds takes along."""
    if judgement.verdict not in (Verdict.SEED_BETTER, Verdict.SEED_WORSE):
        return str(judgement.verdict.value)
    direction = "better" if judgement.verdict is Verdict.SEED_BETTER else "worse"
    reason = f"{points(judgement.images.difference)} is within what seeds do"
    if judgement.only_seed:
        reason = "only the seed was changed"
    return f"Not shown to matter: {reason} (this model alone is {direction} on these images)"


def evidence(old: Revision, new: Revision, judgement: Judgement) -> str:
    """Give the two grounds of the verdict: images and seeds."""
    if judgement.verdict is Verdict.NOT_COMPARABLE:
        return (
            "The two recognise other classes, or images of another data set or size: neither "
            "images nor seeds tell which is better. What was changed, and what came out, is below "
            "side by side."
        )
    return f"- **The model, on these images:** {_on_images(old, new, judgement)}\n" + (
        f"- **The change, whatever the seed:** {_over_seeds(old, new, judgement)}"
    )


def points(difference: float) -> str:
    """Return a difference in accuracy in percentage points, such as `+0.42 points`."""
    return f"{100 * difference:+.2f} points"


def interval(difference: Difference) -> str:
    """Return its interval in percentage points."""
    return f"{INTERVAL} {100 * difference.low:+.2f} to {100 * difference.high:+.2f}"


def _on_images(old: Revision, new: Revision, judgement: Judgement) -> str:
    images, pairs = judgement.images, judgement.pairs
    if pairs is None:
        known = all(old.test_digests) and all(new.test_digests)
        how = "the two were" if known else "it is not known whether the two were not"
        return (
            f"{how} tested on **different images** ({_tested_on(old)}; {_tested_on(new)}), "
            "so this compares the images as well as the models. "
            f"Unpaired: {points(images.difference)}, {interval(images)}, "
            f"p {p_value(images.p_value)} (Fisher's exact test)."
        )
    if judgement.same_model:
        return "it is the same one, and was tested on the same images."
    if not pairs.fixed and not pairs.broken:
        return "both get the same ones wrong."
    return (
        f"{pairs.fixed} went from wrong to right and {pairs.broken} from right to wrong, "
        f"p {p_value(images.p_value)} (exact McNemar test)."
    )


def _over_seeds(old: Revision, new: Revision, judgement: Judgement) -> str:
    seeds, spread = judgement.seeds, old.spread or new.spread
    if judgement.same_model:
        return "it changes nothing about the model."
    if judgement.only_seed:
        return "nothing was changed but the seed, so any difference is what a seed does."
    if seeds is None or spread is None:
        return (
            "unknown. Another seed alone moves the accuracy, and by how much was not measured for "
            f"{escape(old.name)}. `{SEEDS_COMMAND}` there, committed, tells; on both sides it "
            "tells more."
        )
    if old.spread and new.spread:
        text = (
            f"{old.spread.seeds} seeds before give {_mean_std(old.spread)}, "
            f"{new.spread.seeds} after {_mean_std(new.spread)}: {points(seeds.difference)}, "
            f"{interval(seeds)}, p {p_value(seeds.p_value)} (Welch's test)."
        )
    else:
        known, single = (old, new) if old.spread else (new, old)
        low, high = prediction_interval(spread.accuracies, 1 - LEVEL)
        above = single.evaluation.accuracy > spread.accuracy_mean
        text = (
            f"{spread.seeds} seeds of {escape(known.name)} give {_mean_std(spread)}, so one more "
            f"is expected between {max(low, 0):.4f} and {min(high, 1):.4f} ({INTERVAL}). The one "
            f"run of {escape(single.name)} has {single.evaluation.accuracy:.4f}, "
            f"{points(abs(seeds.difference)).lstrip('+')} {'above' if above else 'below'} their "
            f"mean, p {p_value(seeds.p_value)}."
        )
    if seeds.p_value < LEVEL:
        beyond = "That is beyond what seeds do"
        on_images = judgement.images.p_value < LEVEL
        return f"{text} {beyond}{'' if on_images else ', though not beyond what images do'}."
    text += " That is within what seeds do."
    if spread.seeds < FEW and not (old.spread and new.spread):
        text += f" With only {spread.seeds} seeds, much is."
    if judgement.needed:
        text += (
            f" To find a difference of that size in 4 of 5 cases, {judgement.needed} seeds on "
            "each side would be needed."
        )
    return text


def _mean_std(spread: Spread) -> str:
    mean, std = spread.accuracy_mean, spread.accuracy_std
    return f"a mean of {mean:.4f} with a standard deviation of {std:.4f}"


def _tested_on(revision: Revision) -> str:
    samples, dataset = revision.evaluation.samples, revision.params.get("prepare.dataset")
    return f"{samples:,} of {escape(str(dataset))}"
