"""PostgreSQL, and the MLflow server that `make mlflow-server` starts on it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from urllib.request import urlopen

import psutil

from benchmarks.clone import ROOT

HOST, START_SECONDS, END_SECONDS = "127.0.0.1", 120, 60
USER, PASSWORD = "admin", "of this benchmark"


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """Run a new PostgreSQL; give the environment variables that say where it is.

    Raises:
        SystemExit: there is none.
    """
    if not shutil.which("pg_virtualenv"):
        sys.exit("PostgreSQL with Debian's pg_virtualenv is needed: apt-get install postgresql")
    command = ["pg_virtualenv", "-t", "sh", "-c", "env | grep ^PG; echo; exec cat"]
    server = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        lines = takewhile("\n".__ne__, server.stdout or [])
        said = [line.strip() for line in lines if line.startswith("PG")]
        variables = dict(line.split("=", 1) for line in said)
        for name in ("mlflow", "mlflow_auth"):
            env = os.environ | variables
            subprocess.run(["createdb", name], env=env, check=True)  # noqa: S603, S607
        yield variables
    finally:
        server.communicate(timeout=END_SECONDS)  # its input ends, and so does it


@contextmanager
def team_server(variables: dict[str, str], folder: Path) -> Iterator[dict[str, str]]:
    """Run the server; give the environment variables by which a user reaches it.

    Args:
        variables: where PostgreSQL is.
        folder: for artifacts and the log.

    Raises:
        SystemExit: it does not start; what it says is the message.
    """
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port = str(listener.getsockname()[1])
    settings = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_AUTH_ADMIN_USERNAME": USER,
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": PASSWORD,
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{HOST}:{port}",
        "MLFLOW_PORT": port,
        "MLFLOW_ARTIFACTS_DESTINATION": str(folder),
    }
    command, log = ["make", "-o", "venv-server", "mlflow-server"], folder / "log"
    with log.open("wb") as said:
        server = subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, env=os.environ | variables | settings, stdout=said, stderr=said
        )
    url, end = f"http://{HOST}:{port}", time.monotonic() + START_SECONDS
    try:
        while not _is_healthy(url):
            if server.poll() is not None or time.monotonic() > end:
                sys.exit(f"the server does not start:\n{log.read_text()}")
            time.sleep(0.2)
        yield {
            "MLFLOW_TRACKING_URI": url,
            "MLFLOW_TRACKING_USERNAME": USER,
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
        }
    finally:
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(server.pid).children(recursive=True):
                process.terminate()
        server.wait(END_SECONDS)


def _is_healthy(url: str) -> bool:
    with suppress(OSError), urlopen(f"{url}/health", timeout=5):  # noqa: S310
        return True
    return False
