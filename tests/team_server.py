"""PostgreSQL, and the MLflow server that `make mlflow-server` starts on it."""

import os
import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from itertools import takewhile
from typing import Self

import psutil
import pytest

from tests.conftest import Clone
from tests.faulty_server import HOST, START_SECONDS, free_port
from tests.processes import terminate_all
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
    lines = [line.rstrip("\n") for line in takewhile("\n".__ne__, server.stdout)]
    try:
        variables = dict(line.split("=", 1) for line in lines if line.startswith("PG"))
        assert variables.keys() >= {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD"}, lines
        del variables["PGDATABASE"]
        yield variables
    finally:
        server.communicate(timeout=60)  # its input ends, and so does it


def create_databases(variables: Mapping[str, str], *names: str) -> None:
    """Make new databases on that PostgreSQL."""
    for name in names:
        subprocess.run(["createdb", name], env=os.environ | dict(variables), check=True)


class TeamServer:
    """The server of a team, started from a clone; it can be stopped and started again."""

    COMMAND = ("make", "-o", "venv-server", "mlflow-server")

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
        try:
            self.start()
            yield self
        finally:
            self.stop()

    def settings(self) -> dict[str, str]:
        """Return the environment variables that it is set up by."""
        return self.variables | {
            "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN[0],
            "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "of these tests",
            "MLFLOW_SERVER_ALLOWED_HOSTS": f"{NAME},{HOST}:{self.port}",
            "MLFLOW_PORT": str(self.port),
            "MLFLOW_WORKERS": "1",
        }

    def start(self) -> None:
        """Start it, for the first time or again, and return when it answers."""
        log = self.clone.path.parent / "server.log"
        make = f'exec {" ".join(self.COMMAND)} > "$0" 2>&1'
        self._server = self.clone.popen("sh", "-c", make, str(log), **self.settings())
        deadline = time.monotonic() + START_SECONDS
        while self.ask("/health") != 200:
            assert self._server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)

    def stop(self) -> None:
        """End it with its workers."""
        with suppress(psutil.NoSuchProcess):  # it did not start
            terminate_all(psutil.Process(self._server.pid))
        self._server.communicate(timeout=60)

    def ask(
        self,
        path: str,
        user: tuple[str, str] | None = None,
        content: bytes | None = None,
        method: str | None = None,
        **headers: str,
    ) -> int:
        """Return the status of the answer to a request; 0: there is none.

        The method is POST with a content, GET without one, or what is given.
        """
        if user:
            headers["Authorization"] = f"Basic {b64encode(':'.join(user).encode()).decode()}"
        if content:
            headers["Content-Type"] = "application/json"
        connection = HTTPConnection(HOST, self.port, timeout=30)
        try:
            method = method or ("POST" if content else "GET")
            connection.request(method, path, content, headers)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()
