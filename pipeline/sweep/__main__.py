"""Search for better params."""

import argparse
import shlex
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core import splits, stage
from pipeline.core.arrays import Split
from pipeline.core.classes import read_classes
from pipeline.core.errors import PipelineError
from pipeline.core.package import command
from pipeline.experiments.definitions import Experiment
from pipeline.experiments.dvc_run import arguments, end_with_terminal
from pipeline.experiments.runner import run_all
from pipeline.provenance.copies import require_copies
from pipeline.provenance.params import Params, load_params
from pipeline.provenance.reproduced import require_prepared
from pipeline.sweep import identity
from pipeline.sweep.journal import Journal, Trial, find_best
from pipeline.sweep.settings import SWEEP, Settings, read_settings, require_fit
from pipeline.sweep.space import apply
from pipeline.sweep.sweep_runs import Sweep, show_sweep
from pipeline.tracking import deadline, store


class Display:
    """The search in MLflow, which may fail: then one line says so, and it is left alone."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self.answers = store.enabled()

    def update(self, status: str) -> None:
        """Make MLflow show what there is."""
        if not self.answers:
            return
        try:
            deadline.follow(show_sweep(self._sweep, status))
        except PipelineError as error:
            self.answers = False
            remedy = "the search does not depend on it; the same command shows it later"
            print(f"{error}; {remedy}", file=sys.stderr, flush=True)


def sweep(settings: Settings, params: Params) -> tuple[Trial, str, bool]:
    """Search, from where it was interrupted, and return the best trial.

    Returns:
        The trial, the id of the search, and whether MLflow shows it, or is off.

    Raises:
        PipelineError: data or Ray is missing, or no trial ran to its end.
    """
    require_prepared("`dvc repro prepare` first")
    data = splits.read_split(splits.TRAIN), splits.read_split(splits.VAL)  # never the test images
    require_fit(settings, params, *data[0].images.shape[1:3])
    inputs = identity.identify_inputs(settings, params)
    sweep_id = identity.identify(inputs)
    folder, changed = identity.open_folder(inputs)
    try:
        with FileLock(folder / "lock", timeout=0):
            journal = Journal(folder / "journal.jsonl")
            print(_describe_start(sweep_id, settings, journal, changed), flush=True)
            display = Display(Sweep(sweep_id, settings.metric, settings.sign, params, journal))
            _search(settings, params, data, journal, folder, display)
    except Timeout:
        raise PipelineError(f"sweep {sweep_id}: is already running, in {folder}") from None
    best = find_best(journal, settings.metric, settings.sign)
    if not best:
        raise PipelineError(
            f"sweep {sweep_id}: no trial ran to its end; give it more seconds or trials in {SWEEP}"
        )
    return best, sweep_id, display.answers or not store.enabled()


def _search(
    settings: Settings,
    params: Params,
    data: tuple[Split, Split],
    journal: Journal,
    folder: Path,
    display: Display,
) -> None:
    if journal.is_over:
        display.update("FINISHED")
        return
    try:
        from pipeline.sweep.search import search
    except ImportError as error:
        raise PipelineError(
            f"{error.name} is not installed: `make venv-ray` installs what a search needs"
        ) from error
    display.update("RUNNING")
    try:
        classes = len(read_classes())
        search(
            settings,
            params,
            data,
            classes,
            journal,
            folder / "tune",
            lambda _trial: display.update("RUNNING"),
        )
    except PipelineError:
        display.update("KILLED")
        raise
    except (KeyboardInterrupt, SystemExit):
        print(
            f"{journal.done} of {settings.trials} trials are done and kept; "
            "the same command resumes there",
            file=sys.stderr,
        )
        display.update("KILLED")
        raise
    display.update("FINISHED")


def _describe_start(sweep_id: str, settings: Settings, journal: Journal, changed: list[str]) -> str:
    done = journal.done
    if journal.is_over:
        return f"sweep {sweep_id}: {done} trials, all done"
    if journal.trials:
        return f"sweep {sweep_id}: resumes after {done} of {settings.trials} trials"
    why = f", as {' and '.join(changed)} changed since the last one" if changed else ""
    return f"sweep {sweep_id}: {settings.trials} trials{why}"


def main() -> None:
    """Search, say what is best, and run it if that is wanted."""
    parser = argparse.ArgumentParser(prog=command("sweep"), description=__doc__)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--run", action="store_true", help="run the best trial as an experiment")
    instead.add_argument("--check", action="store_true", help=f"check {SWEEP} only, without Ray")
    args = parser.parse_args()
    if args.run:
        require_copies()
    params = load_params()
    settings = read_settings(params)
    if args.check:
        return
    end_with_terminal()
    best, sweep_id, tracked = sweep(settings, params)
    name = f"sweep-{sweep_id}"
    last = best.epochs[-1]
    print(
        f"Best: trial {best.number}, val_accuracy {last['val_accuracy']:.4f}, "
        f"val_loss {last['val_loss']:.4f}\n"
        f"    dvc exp run {shlex.join(arguments(name, best.changes))}",
        flush=True,
    )
    if args.run:
        winner = Experiment(name, "the best trial", None, best.changes, apply(params, best.changes))
        failed, recorded = run_all([winner])
        if failed:
            sys.exit(1)
        tracked = tracked and recorded
    if not tracked:
        deadline.exit_now()


if __name__ == "__main__":
    stage.run(main)
