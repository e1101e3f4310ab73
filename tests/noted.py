"""Commands of the pipeline, and which stages they run."""

import os
import subprocess
import sys

from tests.conftest import Clone

# Stands in for the Python of the stages: notes what they run, and lets one of them fail.
STAND_IN = """#!/bin/sh
echo "$@" >> "$LOG"
case "$*" in "$FAIL") echo "the disk is on fire"; exit 3 ;; esac
exec "$REAL" "$@"
"""


def run_noted(
    clone: Clone, *arguments: str, fail: str = "", **env: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run Python with these arguments; let stages fail whose command has the pattern `fail`.

    Returns:
        What came of it, and the commands of the stages that DVC ran.
    """
    folder = clone.path.parent / "stand-in"
    folder.mkdir(exist_ok=True)
    python, log = folder / "python", folder / "log"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    log.write_text("")
    path = f"{folder}{os.pathsep}{clone.env['PATH']}"
    env |= {"LOG": str(log), "REAL": sys.executable, "FAIL": fail, "PATH": path}
    call = clone.run(sys.executable, *arguments, check=False, **env)
    return call, [line.removeprefix("-m ") for line in log.read_text().splitlines()]
