"""What every command of the pipeline does around its `main`."""

import argparse
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

from pipeline.core.errors import PipelineError
from pipeline.core.package import command

SHELLS = {"sh", "bash", "dash", "fish", "ksh", "zsh"}
POLL_SECONDS = 0.2
UNWIND_SECONDS = 15  # longer than tracking waits for its store


def run(main: Callable[[], None], check: Callable[[], object] = lambda: None) -> None:
    """Run `main`; end with one plain message and an exit code where it cannot do its work.

    What `check` refuses is said before any work is done. SIGTERM and Ctrl-C unwind `main`, so that
    it leaves no temporary file, with the exit codes that shells use for them (143 and 130). Each is
    then ignored, as a second one would cut the unwinding short.
    """
    gc.freeze()  # what was imported stays
    gc.enable()
    signal.signal(signal.SIGTERM, _exit_terminated)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in a shell's background
        signal.signal(signal.SIGINT, _interrupt)
    try:
        check()
        main()
    except PipelineError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def refuse_arguments() -> None:
    """Refuse whatever a command that takes none is given; `--help` says what it is for."""
    prog, about = command(Path(sys.argv[0]).stem), sys.modules["__main__"].__doc__
    argparse.ArgumentParser(prog=prog, description=about).parse_args()


def watch_dvc() -> None:
    """End this process as soon as the DVC that started it has ended.

    As an orphan it would keep running, and overwrite what the next `dvc repro` has made. Until
    `run` takes over, Ctrl-C ends it without the traceback of whatever import it interrupts.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, args=(_lineage(),), daemon=True).start()


def _exit_terminated(signum: int, _frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_IGN)
    sys.exit(128 + signum)


def _interrupt(signum: int, _frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_IGN)
    raise KeyboardInterrupt


def _lineage() -> list[tuple[psutil.Process, int]]:
    """Return this process, and the shell that DVC may have put between, each with its parent."""
    process = psutil.Process()
    lineage = [(process, process.ppid())]
    with suppress(psutil.NoSuchProcess):  # it has just ended: the first pair tells
        parent = psutil.Process(process.ppid())
        if parent.name() in SHELLS:
            lineage.append((parent, parent.ppid()))
    return lineage


def _end_with_parent(lineage: list[tuple[psutil.Process, int]]) -> None:
    """End this process as soon as one of `lineage` has lost its parent."""
    with suppress(psutil.NoSuchProcess):  # the shell has ended: so has DVC, or is about to
        while all(process.ppid() == parent for process, parent in lineage):
            time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(UNWIND_SECONDS)
    os._exit(128 + signal.SIGTERM)  # the main thread is stuck in a call that does not return
