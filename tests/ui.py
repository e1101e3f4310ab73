"""The MLflow UI as `make ui` serves it, and the browser that looks at it."""

import os
import re
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil
import pytest

from benchmarks.browser import installed_browser
from tests.conftest import Clone
from tests.processes import terminate_all


@dataclass
class Ui:
    """A running `make ui`: its address, the link that it printed to the runs, its processes."""

    url: str
    runs: str
    processes: list[psutil.Process]


def find_browser() -> str:
    """Return the command of an installed browser; without one, skip the test, but not in CI."""
    browser = installed_browser()
    if browser is None and "CI" not in os.environ:
        pytest.skip("no Chromium and no Chrome is installed")
    assert browser
    return browser


def use_this_environment(clone: Clone) -> None:
    """Let `make -o venv` run in the environment that the tests run in."""
    (clone.path / ".venv").symlink_to(sys.prefix, target_is_directory=True)


@contextmanager
def serve_ui(clone: Clone) -> Iterator[Ui]:
    """Run `make ui` on a free port until the context ends."""
    use_this_environment(clone)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = clone.path.parent / "ui.log"  # a pipe that nobody reads would fill up
    make = 'exec make -o venv ui "PORT=$0" > "$1" 2>&1'
    server = clone.popen("sh", "-c", make, str(port), str(log))
    process = psutil.Process(server.pid)
    try:
        deadline = time.monotonic() + 120
        while not _answers(port):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        url = f"http://127.0.0.1:{port}/"
        (runs,) = re.findall(r"^Runs: (.*)", log.read_text(), re.MULTILINE)
        yield Ui(url, runs, [process, *process.children(recursive=True)])
    finally:
        terminate_all(process)
        server.communicate(timeout=60)


def _answers(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        return b"MLflow" in answer.read()
    return False  # it does not listen yet
