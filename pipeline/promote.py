"""Make the model of a committed state the champion, unless it is significantly worse."""

import argparse
import json
from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline.core import files, stage
from pipeline.core.arrays import ByteArray
from pipeline.core.errors import PipelineError
from pipeline.core.package import command
from pipeline.core.splits import TEST
from pipeline.evaluation.paths import ERRORS, EVALUATION
from pipeline.evaluation.predictions import parse_predictions
from pipeline.evaluation.scores import METRICS
from pipeline.provenance.committed import snapshot_at
from pipeline.provenance.params import load_params
from pipeline.provenance.promotable import find_shared, require_commit
from pipeline.provenance.snapshot import Snapshot, present_snapshot
from pipeline.statistics.paired import compare
from pipeline.tracking import runs, store
from pipeline.tracking.models import registry, served_model
from pipeline.tracking.publication import publish
from pipeline.tracking.store_errors import plain_errors


def promote(snapshot: Snapshot, commit: str, level: float) -> str:
    """Register the model of a state, and make it the champion of its data set.

    Args:
        snapshot: of the state.
        commit: that holds it.
        level: of the test; a p-value below it is significant.

    Returns:
        What was done.

    Raises:
        PipelineError: the model is significantly worse than the champion, or was tested on other
            images, or does not answer; or the store fails.
    """
    name = registry.name_model(str(snapshot.params["prepare.dataset"]))
    metrics = files.read_text(snapshot.folder / EVALUATION, json.loads)
    with plain_errors():
        client, experiment = store.open_store()
        publish(client, experiment, snapshot)
        run = registry.find_run(client, experiment, snapshot.state_id)
        tags = {"commit": commit, **_metric_tags(metrics)}
        version = registry.register(client, name, run, tags)
        title = f"{name} version {version.version}"
        champion = registry.find_champion(client, name)
        if champion and str(champion.version) == str(version.version):
            return f"{title} is already the champion"
        if champion and champion.tags.get(runs.STATE_TAG) != version.tags[runs.STATE_TAG]:
            tested_on = (snapshot.digests[path] for path in (TEST.images, TEST.labels))
            old_errors = registry.read_errors(client, champion, *tested_on)
            new_errors = files.read_text(snapshot.folder / ERRORS, parse_predictions)
            compared = _refuse_worse(title, champion.version, old_errors, new_errors, level)
            compared += f"\n{describe_metrics(metrics, champion.tags)}"
        else:
            compared = "There was no other champion to compare it with."
        served_model.require_answer(version, _read_image(snapshot))
        description = (
            f"commit {commit[:7]}, test accuracy {metrics['accuracy']:.4f} "
            f"({metrics['accuracy_low']:.4f} to {metrics['accuracy_high']:.4f}), "
            f"{metrics['errors']:,} of {metrics['samples']:,} images are misclassified.\n{compared}"
        )
        registry.make_champion(client, version, f"C{description[1:]}")
    return f"{title} is now the champion: {description}"


def _read_image(snapshot: Snapshot) -> ByteArray:
    """Return the first test image of a state, (1, height, width, channels)."""
    if snapshot.test_images is None:
        raise PipelineError(f"{TEST.images}: is not in DVC's cache; `dvc fetch` gets it")
    images: ByteArray = np.load(snapshot.test_images, mmap_mode="r", allow_pickle=False)[:1]
    return images


def _metric_tags(metrics: Mapping[str, object]) -> dict[str, str]:
    """Return the test metrics as tags, but those of single classes."""
    return {f"test_{k}": str(value) for k, value in metrics.items() if not isinstance(value, dict)}


def describe_metrics(metrics: Mapping[str, object], champion: Mapping[str, str]) -> str:
    """Name the metrics that tell how good a model is, beside those of the champion.

    Args:
        metrics: of the present state, by their keys.
        champion: tags of its version, which may lack some: its code had other metrics.
    """
    old, new = champion, _metric_tags(metrics)
    keys = {metric.label: f"test_{metric.key}" for metric in METRICS if metric.better}
    parts = [
        f"{label} {new[key]} ({old.get(key, 'missing')} before)"
        for label, key in keys.items()
        if key in new
    ]
    return f"On the test images: {', '.join(parts)}."


def _refuse_worse(
    title: str,
    champion: str | int,
    old_errors: pd.DataFrame,
    new_errors: pd.DataFrame,
    level: float,
) -> str:
    """Compare errors with those of the champion, a version, and say how they differ."""
    comparison = compare(old_errors, new_errors)
    counts = (
        f"{comparison.fixed} images fixed and {comparison.broken} broken, p = "
        f"{comparison.p_value:.2g} (exact McNemar test, level {level:g})"
    )
    if comparison.broken > comparison.fixed and comparison.p_value < level:
        raise PipelineError(
            f"{title} is not promoted, it is significantly worse than the champion, version "
            f"{champion}: "
            f"{counts}"
        )
    return f"Compared with version {champion} on the same test images: {counts}."


def read_level(text: str) -> float:
    """Return a level of significance.

    Raises:
        PipelineError: it is not a number between 0 and 1.
    """
    try:
        level = float(text)
    except ValueError:
        level = float("nan")
    if not 0 < level < 1:
        raise PipelineError(f"--level: must be a number between 0 and 1, got {text}")
    return level


def main() -> None:
    """Promote a state, and say what was done."""
    parser = argparse.ArgumentParser(prog=command("promote"), description=__doc__)
    parser.add_argument(
        "revision",
        nargs="?",
        help="a commit, branch or experiment (default: the working tree, all of it committed)",
    )
    parser.add_argument(
        "--level",
        default="0.05",
        help="level of the exact McNemar test: a model that is worse with p below it is not "
        "promoted (default: %(default)s)",
    )
    arguments = parser.parse_args()
    level = read_level(arguments.level)
    if arguments.revision:
        commit = find_shared(arguments.revision)
        with snapshot_at(commit) as snapshot:
            print(promote(snapshot, commit, level))
    else:
        commit = require_commit()
        print(promote(present_snapshot(load_params()), commit, level))


if __name__ == "__main__":
    stage.run(main)
