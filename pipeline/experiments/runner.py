"""Run experiments one after another, each in a copy of the working tree."""

import json
import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.experiments.definitions import Experiment
from pipeline.experiments.dvc_run import arguments, remove_experiment, run_experiment
from pipeline.git import git, resolve
from pipeline.params import Params, load_params
from pipeline.paths import EVALUATION, RAW


def describe(experiment: Experiment, present: Params) -> str:
    """Say what an experiment is about, and how to run it where params.yaml has other params."""
    words = arguments(experiment.name, experiment.changes_from(present))
    return f"{experiment.name}: {experiment.description}\n    dvc exp run {shlex.join(words)}"


def raw_data(experiment: Experiment) -> Path:
    """Return the folder of the images that an experiment is about."""
    return RAW / experiment.params.prepare.dataset


def run_all(experiments: Iterable[Experiment]) -> list[str]:
    """Run experiments, and say of each what came out; one that fails stops no other.

    Returns:
        The names of those that failed.
    """
    failed = []
    for experiment in experiments:
        start = time.monotonic()
        try:
            present = load_params()  # which may have been edited since the last one
            print(describe(experiment, present), flush=True)
            outcome = _run(experiment, present)
        except PipelineError as error:
            print(error, file=sys.stderr, flush=True)
            failed.append(experiment.name)
        else:
            print(f"    {outcome} ({time.monotonic() - start:.0f} s)", flush=True)
    return failed


def _run(experiment: Experiment, present: Params) -> str:
    """Run an experiment, and say what it reached; the one that had its name is replaced."""
    head = resolve("HEAD")
    ref = f"refs/exps/{head[:2]}/{head[2:]}/{experiment.name}"
    if git("rev-parse", "--verify", "--quiet", ref):
        remove_experiment(experiment.name)  # what need not be run again is in DVC's cache
    data = raw_data(experiment)
    copied = [] if git("ls-files", "--", str(data)) else [data]
    run_experiment(experiment.name, experiment.changes_from(present), copied=copied)
    evaluation = json.loads(git("show", f"{ref}:./{EVALUATION.as_posix()}"))
    return (
        "test accuracy {accuracy:.4f}, interval {accuracy_low:.4f} to {accuracy_high:.4f}"
    ).format(**evaluation)
