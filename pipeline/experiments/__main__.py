"""Run the experiments of experiments.yaml, and write what the docs show of them."""

import argparse
import sys

from pipeline.core import stage
from pipeline.core.errors import DataError, PipelineError
from pipeline.core.package import command
from pipeline.data.dataset import find_reader
from pipeline.experiments import results_page
from pipeline.experiments.definitions import EXPERIMENTS, Experiment, read_experiments
from pipeline.experiments.dvc_run import end_with_terminal
from pipeline.experiments.runner import describe, raw_data, run_all
from pipeline.provenance.copies import require_copies
from pipeline.provenance.params import load_params
from pipeline.tracking import deadline


def main() -> None:
    """Run the experiments that are named, or all; or list them; or write the docs."""
    parser = argparse.ArgumentParser(prog=command("experiments"), description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments (default: all)")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--list", action="store_true", help="list them, and run none")
    instead.add_argument(
        "--table", action="store_true", help="write table and learning curve from recorded runs"
    )
    arguments = parser.parse_args()
    known = read_experiments()
    if arguments.table:
        if arguments.names:
            parser.error("--table is about all experiments: name none")
        results_page.write_page(known)
        return
    chosen = _choose(known, arguments.names)
    if arguments.list:
        present = load_params()
        print("\n".join(describe(experiment, present) for experiment in chosen))
        return
    require_copies()
    end_with_terminal()
    failed, recorded = run_all(_have_data(chosen, named=bool(arguments.names)))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr, flush=True)
    if not recorded:
        deadline.exit_now(bool(failed))
    sys.exit(bool(failed))


def _choose(known: dict[str, Experiment], names: list[str]) -> list[Experiment]:
    """Return the experiments of these names, or all.

    Raises:
        PipelineError: there is none of a name.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        raise PipelineError(
            f"{EXPERIMENTS}: has no {', '.join(unknown)}; it has {', '.join(known)}"
        )
    return [known[name] for name in names or known]


def _have_data(chosen: list[Experiment], *, named: bool) -> list[Experiment]:
    """Return the experiments whose data is there; say what the others need.

    Raises:
        DataError: one of those was asked for by its name.
    """
    ready = []
    for experiment in chosen:
        try:
            find_reader(raw_data(experiment), experiment.params.prepare.test_fraction)
        except DataError as error:
            if named:
                raise DataError(f"{experiment.name}: {error}") from error
            print(f"{experiment.name}: skipped: {error}", file=sys.stderr)
        else:
            ready.append(experiment)
    return ready


if __name__ == "__main__":
    stage.run(main)
