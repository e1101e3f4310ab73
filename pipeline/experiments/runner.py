"""Run experiments one after another, each in a copy of the working tree."""

import json
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.core.errors import DataError, PipelineError
from pipeline.core.package import command
from pipeline.data.paths import RAW
from pipeline.evaluation.paths import EVALUATION
from pipeline.experiments.definitions import Experiment
from pipeline.experiments.dvc_run import arguments, remove_experiment, run_experiment
from pipeline.provenance.git import git, read, resolve, untracked
from pipeline.provenance.params import Params, load_params
from pipeline.tracking import deadline, store
from pipeline.tracking.publication import publish_experiment


def describe(experiment: Experiment, present: Params) -> str:
    """Say what an experiment is about, and how to run it where params.yaml has other params."""
    words = arguments(experiment.name, experiment.changes_from(present))
    return f"{experiment.name}: {experiment.description}\n    dvc exp run {shlex.join(words)}"


def raw_data(experiment: Experiment) -> Path:
    """Return the folder of the images that an experiment is about."""
    return RAW / experiment.params.prepare.dataset


def run_all(experiments: Iterable[Experiment]) -> tuple[list[str], bool]:
    """Run experiments, and say of each what came out; one that fails stops no other.

    Returns:
        The names of those that failed, and whether MLflow has the others, or is off.
    """
    failed = []
    tracked = store.enabled()
    for experiment in experiments:
        start = time.monotonic()
        try:
            present = load_params()  # which may have been edited since the last one
            print(describe(experiment, present), flush=True)
            # A store that has not answered is not tried again.
            outcome = _run(experiment, present, {} if tracked else {"PIPELINE_MLFLOW": "off"})
            print(f"    {outcome} ({time.monotonic() - start:.0f} s)", flush=True)
            tracked = tracked and _record(experiment)
        except PipelineError as error:
            print(error, file=sys.stderr, flush=True)
            failed.append(experiment.name)
    return failed, tracked or not store.enabled()


def _run(experiment: Experiment, present: Params, env: Mapping[str, str]) -> str:
    """Run an experiment, and say what it reached; the one that had its name is replaced."""
    head = resolve("HEAD")
    ref = f"refs/exps/{head[:2]}/{head[2:]}/{experiment.name}"
    old = resolve(ref)
    if old:
        remove_experiment(experiment.name)  # what need not be run again is in DVC's cache
    copied = untracked(raw_data(experiment))
    try:
        run_experiment(experiment.name, experiment.changes_from(present), env, copied)
    except BaseException:
        if old:
            git("update-ref", ref, old)
        raise
    result = json.loads(read(ref, EVALUATION))
    return (
        f"test accuracy {result['accuracy']:.4f}, "
        f"interval {result['accuracy_low']:.4f} to {result['accuracy_high']:.4f}"
    )


def _record(experiment: Experiment) -> bool:
    """Make MLflow have the run, also of what came from DVC's cache; tell whether it answers.

    Raises:
        DataError: what was made is no state.
    """
    try:
        deadline.follow(publish_experiment(experiment.name))
    except DataError:
        raise
    except PipelineError as error:
        remedy = f"`{command('publish', '--all-commits')}` fills in what is missing"
        print(f"{error}; DVC has all results; {remedy}", file=sys.stderr, flush=True)
        return False
    return True
