"""Train the present state with several seeds, and record how much its test accuracy varies."""

import argparse
import sys
import time
from collections.abc import Iterator

from pipeline.core import files, stage
from pipeline.core.errors import PipelineError
from pipeline.core.package import command
from pipeline.data.paths import RAW
from pipeline.experiments.dvc_run import (
    end_with_terminal,
    remove_experiment,
    run_experiment,
)
from pipeline.provenance.committed import NoState
from pipeline.provenance.copies import require_copies
from pipeline.provenance.git import untracked
from pipeline.provenance.params import Params, load_params
from pipeline.provenance.paths import SEEDS
from pipeline.provenance.recipe import (
    experiment_name,
    find_run,
    identify_recipe,
    read_run,
    require_in_git,
)
from pipeline.provenance.reproduced import require_reproduced
from pipeline.provenance.snapshot import Snapshot, present_snapshot
from pipeline.provenance.spread import SEED, SeedRun, Spread, summarise
from pipeline.tracking import deadline, store
from pipeline.tracking.seed_group import group_runs, try_store

LAST_SEED = 2**32 - 1  # that params.yaml may have


def record_spread(params: Params, count: int) -> bool:
    """Train with `count` seeds, the present one and those that follow; write the spread.

    Returns:
        Whether MLflow shows it, or is off.

    Raises:
        PipelineError: the present state is not what the pipeline makes, or a training run failed.
    """
    seeds = range(params.train.seed, params.train.seed + count)
    if seeds[-1] > LAST_SEED:
        raise PipelineError(
            f"--seeds: only {LAST_SEED + 1 - seeds[0]} seeds follow from train.seed {seeds[0]} on; "
            "lower train.seed in params.yaml"
        )
    require_copies()
    require_reproduced("`dvc repro` first")
    present = present_snapshot(params)
    require_in_git(present)
    recipe = identify_recipe(present)
    if not store.enabled():
        print("MLflow is off: PIPELINE_MLFLOW=off")
    tracked = store.enabled() and _answers(try_store())

    runs = []
    try:
        for run, how in _train(present, recipe, seeds, tracked):
            runs.append(run)
            print(f"seed {run.seed}: test accuracy {run.accuracy:.4f} ({how})", flush=True)
    except (KeyboardInterrupt, SystemExit):
        print(
            f"{len(runs)} of {count} seeds are done and kept; the same command resumes there",
            file=sys.stderr,
        )
        raise
    spread = summarise(present.state_id, runs, params.evaluate.confidence)
    files.write_json(SEEDS, spread.model_dump(mode="json"))
    print(_describe(spread), flush=True)
    names = {seed: experiment_name(recipe, seed) for seed in seeds[1:]}
    if not tracked:
        return not store.enabled()
    return _answers(group_runs(present, recipe, names, spread))


def _train(
    present: Snapshot, recipe: str, seeds: range, tracked: bool
) -> Iterator[tuple[SeedRun, str]]:
    """Yield the result of each seed, and how it came about."""
    yield read_run(present), "the present state"
    for seed in seeds[1:]:
        start = time.monotonic()
        name = experiment_name(recipe, seed)
        former: list[NoState] = []
        run = find_run(recipe, seed, former)
        if run:
            yield run, "cached"
            continue
        # A store that has not answered is not tried again.
        env = {} if tracked else {"PIPELINE_MLFLOW": "off"}
        data = RAW / str(present.params["prepare.dataset"])
        run_experiment(name, {SEED: seed}, env, untracked(data))
        faults: list[NoState] = []
        run = find_run(recipe, seed, faults)
        if not run:
            remove_experiment(name)
            before = {fault.commit for fault in former}
            why = [str(fault.error) for fault in faults if fault.commit not in before]
            why = why or ["params, data or code were changed meanwhile"]
            raise PipelineError(f"seed {seed}: {why[0]}; `dvc repro` first")
        yield run, f"{time.monotonic() - start:.0f} s"


def _answers(steps: Iterator[None]) -> bool:
    """Tell whether MLflow does what it is asked to; say what is wrong where it does not."""
    try:
        deadline.follow(steps)
    except PipelineError as error:
        remedy = "the same command groups the runs later"
        print(f"{error}; {SEEDS} does not depend on it; {remedy}", file=sys.stderr)
        return False
    return True


def _describe(spread: Spread) -> str:
    return (
        f"{spread.seeds} seeds: test accuracy {spread.accuracy_mean:.4f} on average, standard "
        f"deviation {spread.accuracy_std:.4f}, {100 * spread.confidence:g}% interval of the mean "
        f"{spread.accuracy_low:.4f} to {spread.accuracy_high:.4f}; written to {SEEDS}"
    )


def read_count(text: str) -> int:
    """Return a number of seeds.

    Raises:
        ArgumentTypeError: it is not a whole number from 2 on.
    """
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 2, got {text}")
    return int(text)


def main() -> None:
    """Train, write, and show the runs in MLflow as a group."""
    parser = argparse.ArgumentParser(prog=command("seeds"), description=__doc__)
    parser.add_argument(
        "--seeds",
        type=read_count,
        default=5,
        help="number of seeds, the present one included (default: %(default)s)",
    )
    count = parser.parse_args().seeds
    end_with_terminal()
    if not record_spread(load_params(), count):
        deadline.exit_now()


if __name__ == "__main__":
    stage.run(main)
