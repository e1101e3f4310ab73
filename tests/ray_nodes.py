"""Ray clusters of several nodes on this machine, and commands that are ended with the test."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import Clone

TIMEOUT = 300  # seconds: generous, for machines under load


def wait_until(holds: Callable[[], object], call: subprocess.Popen[str]) -> None:
    """Wait until this holds while a command runs."""
    give_up, over = time.monotonic() + TIMEOUT, False
    while not holds():
        if over:
            pytest.fail(f"it did not come: {call.stdout.read() if call.stdout else ''}")
        over = call.poll() is not None or time.monotonic() > give_up  # and one last look
        time.sleep(0.05)


def kill_all(pid: int) -> None:
    """Kill a process and all that it has started."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                one.kill()


@contextmanager
def started(clone: Clone, *command: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command; whatever happens, it and all that it has started are ended."""
    call = clone.popen(*command, **env)
    try:
        yield call
    finally:
        kill_all(call.pid)
        with suppress(ProcessLookupError):
            os.killpg(call.pid, signal.SIGKILL)
        call.wait()


class Cluster:
    """A Ray cluster of nodes on this machine."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # sockets need short paths
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.address = f"127.0.0.1:{server.getsockname()[1]}"
        self.env = {
            "HOME": str(self._folder),
            "RAY_AUTH_MODE": "token",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        subprocess.run(
            ["ray", "get-auth-token", "--generate"],
            env=os.environ | self.env,
            capture_output=True,
            check=True,
        )
        self.nodes: list[subprocess.Popen[bytes]] = []

    def start(self, cpus: int = 1, env: Mapping[str, str] | None = None) -> None:
        """Start a node, in a folder and an environment of its own; the first is the head."""
        port = self.address.rpartition(":")[2]
        head = ("--head", f"--port={port}", f"--temp-dir={self._folder}", "--include-dashboard=no")
        common = ("--node-ip-address=127.0.0.1", f"--num-cpus={cpus}")
        options = (f"--address={self.address}",) if self.nodes else head
        folder = self._folder / f"node{len(self.nodes)}"
        folder.mkdir()
        log = folder / "log"
        with log.open("w") as file:
            self.nodes.append(
                subprocess.Popen(
                    ["ray", "start", *options, *common, "--block"],
                    cwd=folder,
                    env=os.environ | self.env | {"TMPDIR": str(folder)} | dict(env or {}),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
            )
        give_up = time.monotonic() + TIMEOUT
        while "Ray runtime started" not in log.read_text():
            assert time.monotonic() < give_up, log.read_text()
            assert self.nodes[-1].poll() is None, log.read_text()
            time.sleep(0.1)

    def processes(self, name: str) -> list[tuple[int, psutil.Process]]:
        """Return Ray's processes whose name starts so, each with the place of its node."""
        found = []
        for place, node in enumerate(self.nodes):
            with suppress(psutil.NoSuchProcess):
                for process in psutil.Process(node.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        if "".join(process.cmdline()[:1]).startswith(f"ray::{name}"):
                            found.append((place, process))
        return found

    @property
    def is_up(self) -> bool:
        """Whether all nodes are there."""
        return all(node.poll() is None for node in self.nodes)

    def stop(self) -> None:
        """End all of its processes."""
        for node in reversed(self.nodes):
            kill_all(node.pid)
            node.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
