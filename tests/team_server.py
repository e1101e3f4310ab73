"""PostgreSQL, and the MLflow server that `make mlflow-server` starts on it."""

import os
import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from typing import Self

import psutil
import pytest

from tests.conftest import Clone
from tests.faulty_server import HOST, START_SECONDS, free_port
from tests.ui import use_this_environment

ADMIN = ("admin", "correct-horse-battery")
ANN = ("ann", "battery-staple-1")
BEN = ("ben", "staple-correct-2")
NAME = "mlflow.example.com"  # by which a proxy calls it


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """Run a new PostgreSQL until the context ends; give the variables that say where it is.

    It listens to TCP, and wants a password.
    """
    if not shutil.which("pg_virtualenv"):
        assert "CI" not in os.environ
        pytest.skip("no PostgreSQL with Debian's pg_virtualenv is installed")
    command = ["pg_virtualenv", "-t", "sh", "-c", "env | grep ^PG; echo; exec cat"]
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert server.stdout
    lines = [line.rstrip("\n") for line in iter(server.stdout.readline, "\n")]
    try:
        variables = dict(line.split("=", 1) for line in lines if line.startswith("PG"))
        assert variables.keys() >= {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD"}, lines
        del variables["PGDATABASE"]
        for name in ("mlflow", "mlflow_auth"):
            subprocess.run(["createdb", name], env=os.environ | variables, check=True)
        yield variables
    finally:
        server.communicate(timeout=60)  # its input ends, and so does it


class TeamServer:
    """The server of a team, started from a clone; it can be stopped and started again."""

    def __init__(self, clone: Clone, variables: Mapping[str, str]) -> None:
        use_this_environment(clone)
        self.clone = clone
        self.variables = dict(variables)
        self.port = free_port()

    @property
    def uri(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Run `make mlflow-server` until the context ends."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Start it, for the first time or again, and return when it answers."""
        settings = {
            "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN[0],
            "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "of these tests",
            "MLFLOW_SERVER_ALLOWED_HOSTS": f"{NAME},{HOST}:{self.port}",
            "MLFLOW_PORT": str(self.port),
            "MLFLOW_WORKERS": "1",
        }
        log = self.clone.path.parent / "server.log"
        make = 'exec make -o venv-server mlflow-server > "$0" 2>&1'
        self._server = self.clone.popen("sh", "-c", make, str(log), **settings, **self.variables)
        deadline = time.monotonic() + START_SECONDS
        while self.ask("/health") != 200:
            assert self._server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)

    def stop(self) -> None:
        """End it with its workers."""
        process = psutil.Process(self._server.pid)
        for one in [*process.children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):
                one.terminate()
        self._server.communicate(timeout=60)

    def ask(
        self,
        path: str,
        user: tuple[str, str] | None = None,
        content: bytes | None = None,
        **headers: str,
    ) -> int:
        """Return the status of the answer to a request; 0: there is none."""
        if user:
            headers["Authorization"] = f"Basic {b64encode(':'.join(user).encode()).decode()}"
        if content:
            headers["Content-Type"] = "application/json"
        connection = HTTPConnection(HOST, self.port, timeout=30)
        try:
            connection.request("POST" if content else "GET", path, content, headers)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()
