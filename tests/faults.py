"""What interrupts stages and damages their files, and how they refuse what is damaged."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from tests.conftest import Clone

HOLD = Path(__file__).parent / "hold"
TIMEOUT = 120  # seconds: generous, for machines under load
# Runs a command that can write no file above a size in bytes.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def overwrite(content: bytes) -> bytes:
    return np.random.default_rng(0).bytes(len(content))


def flip_a_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def empty(_content: bytes) -> bytes:
    return b""


Damage = Callable[[bytes], bytes]
DAMAGES: list[Damage] = [cut, overwrite, flip_a_bit, empty]


def damage_file(path: Path, damage: Damage) -> None:
    path.write_bytes(damage(path.read_bytes()))


def hold(clone: Clone, place: str) -> tuple[subprocess.Popen[str], int]:
    """Run `dvc repro` until a stage is at `place`; return DVC and the stage's process id."""
    flag = clone.path.parent / "held"
    flag.unlink(missing_ok=True)
    dvc = clone.popen("dvc", "repro", PYTHONPATH=str(HOLD), HOLD_AT=place, HOLD_FLAG=str(flag))
    deadline = time.monotonic() + TIMEOUT
    while not (flag.exists() and flag.read_text()):
        assert dvc.poll() is None, f"no stage came to {place}:\n{dvc.communicate()[0]}"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return dvc, int(flag.read_text())


def wait_until_gone(dvc: subprocess.Popen[str]) -> str:
    """Return the output of DVC when all processes that could write to it have ended."""
    output, _ = dvc.communicate(timeout=TIMEOUT)
    return output


def forget(clone: Clone, stage: str) -> None:
    """Make `dvc repro` run the stage, as if its command had been another one before."""
    yaml, path = YAML(), clone.path / "dvc.lock"
    lock = yaml.load(path)
    lock["stages"][stage]["cmd"] = "python old.py"
    yaml.dump(lock, path)
    shutil.rmtree(clone.path / ".dvc/cache/runs")


def run_refused(clone: Clone, stage: str) -> str:
    """Run a stage that cannot do its work; return the one line that says why."""
    result = clone.run("python", "-m", f"pipeline.{stage}", check=False)
    assert result.returncode == 1
    assert result.stdout.count("\n") == 1, result.stdout
    return result.stdout
