"""Processes that tests start: to wait for what they do, and to end them."""

import time
from collections.abc import Callable
from contextlib import suppress

import psutil

TIMEOUT = 180  # seconds: generous, for machines under load


def wait_until(holds: Callable[[], object]) -> None:
    """Return as soon as something holds."""
    give_up = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def terminate_all(process: psutil.Process) -> None:
    """Ask a process, and all that it has started, to end."""
    for one in [*process.children(recursive=True), process]:
        with suppress(psutil.NoSuchProcess):
            one.terminate()
