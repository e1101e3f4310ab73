"""What every command of the pipeline does around its `main`."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import psutil

from pipeline.errors import PipelineError

SHELLS = {"sh", "bash", "dash", "fish", "ksh", "zsh"}
POLL_SECONDS = 0.2


def run(main: Callable[[], None]) -> None:
    """Run `main`; end with one plain message and an exit code where it cannot do its work.

    SIGTERM and Ctrl-C unwind `main`, so that it leaves no temporary file, with the exit codes
    that shells use for them (143 and 130). A stage that DVC started ends with its DVC: as an
    orphan it would go on, and overwrite what the next `dvc repro` has made.
    """
    signal.signal(signal.SIGTERM, _exit_terminated)
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_end_with, args=(_lineage(),), daemon=True).start()
    try:
        main()
    except PipelineError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def _exit_terminated(signum: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signum)


def _lineage() -> list[tuple[psutil.Process, int]]:
    """Return this process, and the shell that DVC may have put between, each with its parent."""
    process = psutil.Process()
    lineage = [(process, process.ppid())]
    parent = process.parent()
    if parent and parent.name() in SHELLS:
        lineage.append((parent, parent.ppid()))
    return lineage


def _end_with(lineage: list[tuple[psutil.Process, int]]) -> None:
    """End this process as soon as one of `lineage` has lost its parent."""
    try:
        while all(process.ppid() == parent for process, parent in lineage):
            time.sleep(POLL_SECONDS)
    except psutil.NoSuchProcess:
        pass  # the shell has ended: so has DVC, or is about to
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(2)
    os._exit(128 + signal.SIGTERM)  # the main thread is stuck in a call that does not return
