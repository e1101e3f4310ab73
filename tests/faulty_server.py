"""A real MLflow server, and one before it that fails in a chosen way."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

START_SECONDS = 120  # generous, for machines under load
HOST = "127.0.0.1"
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # else it starts ten processes
}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


class MlflowServer:
    """`mlflow server` with a database and artifacts of its own, which outlive it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.uri = f"http://{HOST}:{self.port}"
        self.database = f"sqlite:///{folder}/mlflow.db"  # of which a test may read what is stored
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, for the first time or again, and return when it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--workers", "1"]
        places = ["--backend-store-uri", self.database, "--port", str(self.port)]
        places += ["--artifacts-destination", str(self._folder / "artifacts")]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *places],
                cwd=self._folder,
                env=os.environ | SETTINGS,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_healthy():
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill it with its workers, in the midst of whatever they do."""
        assert self._process
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _is_healthy(self) -> bool:
        connection = HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


class Handler(BaseHTTPRequestHandler):
    """Hands a request on to the real server, or fails."""

    server: "FaultyServer"

    def do_GET(self) -> None:
        """Hand on a request of any kind, unless the server fails."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests += 1
        if self.server.failing or not self.server.behind:
            self.server.fault(self)
            return
        connection = HTTPConnection(HOST, self.server.behind.port)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if b'"val_loss"' in body:
            self.server.failing = True
            self.server.on_first_epoch()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, *_arguments: object) -> None:
        """Be silent."""


class FaultyServer(ThreadingHTTPServer):
    """Hands requests on to a real server, if any, until a run has its first epoch; then fails."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        fault: Callable[[Handler], None],
        behind: MlflowServer | None,
        on_first_epoch: Callable[[], None],
    ) -> None:
        super().__init__((HOST, 0), Handler)
        self.fault, self.behind, self.on_first_epoch = fault, behind, on_first_epoch
        self.failing = False
        self.over = threading.Event()
        self.requests = 0
        self.uri = f"http://{HOST}:{self.server_port}"

    def handle_error(self, *_arguments: object) -> None:
        """Be silent: clients that give up are what is tested."""


@contextmanager
def failing_server(
    fault: Callable[[Handler], None],
    behind: MlflowServer | None = None,
    on_first_epoch: Callable[[], None] = lambda: None,
) -> Iterator[FaultyServer]:
    """Run a server that fails from the start or, before a real one, after the first epoch."""
    server = FaultyServer(fault, behind, on_first_epoch)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,))
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def hang(handler: Handler) -> None:
    """Accept, and never answer."""
    handler.server.over.wait()


def drip(handler: Handler) -> None:
    """Answer a byte a second, so that no single read takes long."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    while not handler.server.over.wait(1):
        handler.wfile.write(b" ")


def answer_500(handler: Handler) -> None:
    """Answer each request with an internal error."""
    handler.send_error(500)


def drop(_handler: Handler) -> None:
    """End the connection without a word, as a process that dies does."""
