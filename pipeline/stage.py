"""What every command of the pipeline does around its `main`."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import psutil

from pipeline import PARENT
from pipeline.errors import PipelineError

SHELLS = {"sh", "bash", "dash", "fish", "ksh", "zsh"}
POLL_SECONDS = 0.2
UNWIND_SECONDS = 15  # longer than tracking waits for its store


def run(main: Callable[[], None]) -> None:
    """Run `main`; end with one plain message and an exit code where it cannot do its work.

    SIGTERM and Ctrl-C unwind `main`, so that it leaves no temporary file, with the exit codes
    that shells use for them (143 and 130). A stage that DVC started ends with its DVC: as an
    orphan it would go on, and overwrite what the next `dvc repro` has made.
    """
    signal.signal(signal.SIGTERM, _exit_terminated)
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_end_with_dvc, daemon=True).start()
    try:
        main()
    except PipelineError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def _exit_terminated(signum: int, _frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_IGN)  # a second one would cut the unwinding short
    sys.exit(128 + signum)


def _end_with_dvc() -> None:
    """End this process as soon as it, or the shell that DVC put between, has lost its parent."""
    try:
        process = psutil.Process()
        lineage = [(process, PARENT)]
        parent = process.parent()
        if parent and parent.name() in SHELLS:
            lineage.append((parent, parent.ppid()))
        while all(descendant.ppid() == ancestor for descendant, ancestor in lineage):
            time.sleep(POLL_SECONDS)
    except psutil.NoSuchProcess:
        pass  # the shell has ended: so has DVC, or is about to
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(UNWIND_SECONDS)
    os._exit(128 + signal.SIGTERM)  # the main thread is stuck in a call that does not return
