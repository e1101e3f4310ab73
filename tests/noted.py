"""Commands of the pipeline, which stages they run, and what else is to be seen of them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import Clone, make_once

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


class Observed(NamedTuple):
    """A clone after some calls, and what was to be seen of them, by name."""

    clone: Clone
    seen: dict[str, Any]


def observe_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, build: Callable[[Path], dict[str, Any]]
) -> Observed:
    """Build a clone as `make_once` does, and keep what `build` has seen of it."""

    def note(path: Path) -> None:
        path.with_name("seen.json").write_text(json.dumps(build(path)))

    clone = make_once(tmp_path_factory, name, note)
    return Observed(clone, json.loads(clone.path.with_name("seen.json").read_text()))
