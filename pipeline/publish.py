"""Make MLflow agree with Git and DVC: with the present state, or with all that were committed."""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

from pipeline.core import stage
from pipeline.core.errors import PipelineError
from pipeline.core.package import command
from pipeline.provenance.params import Params, load_params
from pipeline.provenance.truth import FalseStateError
from pipeline.tracking import deadline, store
from pipeline.tracking.publication import publish_commits, publish_present


def main() -> None:
    """Publish, and say what was done."""
    parser = argparse.ArgumentParser(prog=command("publish"), description=__doc__)
    parser.add_argument(
        "--all-commits",
        action="store_true",
        help="publish the state of each commit of each branch, and of each DVC experiment",
    )
    parser.add_argument(
        "--after",
        metavar="MODULE",
        help="run this one first, such as a stage's, while MLflow is imported",
    )
    args = parser.parse_args()
    if args.after:
        _run_first(args.after)
    if not store.enabled():
        print("MLflow is off: PIPELINE_MLFLOW=off")
    elif args.all_commits:
        for line in publish_commits():
            print(line, flush=True)
    elif "DVC_STAGE" in os.environ:
        _publish_in_time(load_params())
    else:
        print(publish_present(load_params()))


def _run_first(module: str) -> None:
    """Run a module beside MLflow's import, on another core; end as it does where it fails."""
    with subprocess.Popen([sys.executable, "-m", module]) as process:  # noqa: S603
        try:
            if store.enabled() and deadline.remaining():
                with suppress(ImportError):  # which is said when it is needed
                    store.import_mlflow()
            code = process.wait()
        except KeyboardInterrupt:  # which the module got, too, and has said so
            code = process.wait() or 128 + signal.SIGINT
        finally:
            process.terminate()
    if code:
        sys.exit(code if code > 0 else 128 - code)


def _publish_in_time(params: Params) -> None:
    """Publish under DVC, where MLflow must neither fail nor delay the pipeline."""
    if not deadline.remaining():
        return  # training has said why
    with suppress(ImportError):  # which is said below
        store.import_mlflow()  # not to be taken for a slow store where the machine is busy
    faults: list[Exception] = []

    def work() -> None:
        try:
            print(publish_present(params))
        except FalseStateError as error:  # which is the store's fault no more than the next state's
            print(f"MLflow: no run of it, as this is {error}", file=sys.stderr)
        except Exception as error:  # of the store, which is said, or of this code, which is raised
            faults.append(error)

    start, limit = time.monotonic(), deadline.remaining()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit)
    if thread.is_alive():
        faults.append(deadline.no_answer(limit))
    for fault in faults:
        if not isinstance(fault, PipelineError):
            raise fault
        deadline.warn(fault)
    deadline.spend(time.monotonic() - start, failed=bool(faults))
    if thread.is_alive():
        deadline.exit_now()


if __name__ == "__main__":
    stage.run(main)
