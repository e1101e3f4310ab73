"""A server of the present folder, for as long as it is measured."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def serving(module: str) -> Iterator[str]:
    """Run a module that serves on a free port; give the address that it prints first.

    Raises:
        RuntimeError: the server does not start.
    """
    command = [sys.executable, "-m", module, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        try:
            said = server.stdout.readline() if server.stdout else ""
            address = re.search(r"http://\S+", said)
            if not address:
                raise RuntimeError(f"{module} does not start: {said}")
            yield address[0]
        finally:
            server.terminate()
