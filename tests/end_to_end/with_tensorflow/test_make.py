"""The targets of the Makefile, without installing anything: a set-up takes minutes."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import Clone
from tests.ui import serve_ui

TARGETS = [
    "help",
    "repro",
    "seeds",
    "fashion-mnist",
    "experiments",
    "compare",
    "sweep",
    "report",
    "test",
    "test-fast",
    "check",
    "lint",
    "bench",
    "ui",
    "publish",
    "promote",
    "serve",
    "explore",
    "mlflow-server",
    "lock",
]
# Stands in for Python: makes a virtual environment of itself, and notes what it is asked to do.
STAND_IN = """#!/bin/sh
echo "$@" >> "$LOG"
case "$*" in
    "-m venv .venv")
        mkdir -p .venv/bin && cp "$0" .venv/bin/python && ln -s "$(command -v dvc)" .venv/bin ;;
    -V) echo "Python 3" ;;
    *"pip install"*) [ ! -e fail ] ;;
    *"pipeline.sweep --check") [ ! -e faulty ] ;;
esac
"""


def test_make_alone_lists_every_target(reproduced: Clone) -> None:
    listed = reproduced.run("make").stdout.splitlines()
    assert [line.split()[0] for line in listed] == TARGETS


@pytest.fixture
def make_venv(reproduced: Clone, tmp_path: Path) -> "MakeVenv":
    clone = reproduced.copy_to(tmp_path / "with space")
    return MakeVenv(clone, tmp_path)


class MakeVenv:
    """Runs `make venv`, or another set-up, in a clone, with a stand-in for Python."""

    def __init__(self, clone: Clone, folder: Path) -> None:
        self.clone = clone
        self._python, self._log = folder / "python", folder / "log"
        self._python.write_text(STAND_IN)
        self._python.chmod(0o755)

    def __call__(self, target: str = "venv", check: bool = True) -> list[str]:
        """Return what Python was asked to do."""
        self._log.write_text("")  # of all but the question for its version
        self.clone.run("make", target, f"PYTHON={self._python}", check=check, LOG=str(self._log))
        return [call for call in self._log.read_text().splitlines() if call != "-V"]


def installs(calls: list[str]) -> list[str]:
    return [call.split()[-1] for call in calls if "pip install" in call]


def test_setup_installs_the_lock_with_hashes_and_compiles(make_venv: "MakeVenv") -> None:
    calls = make_venv()
    (install,) = (call for call in calls if "pip install" in call)
    assert "--require-hashes" in install
    assert install.endswith("-r requirements/main.txt")
    assert any("compileall" in call for call in calls)


def test_setup_is_skipped_until_the_lock_changes(make_venv: "MakeVenv") -> None:
    make_venv()
    assert make_venv() == []
    with (make_venv.clone.path / "requirements/main.txt").open("a") as lock:
        lock.write("# another lock\n")
    assert installs(make_venv()) == ["requirements/main.txt"]
    assert make_venv() == []


def test_page_and_tests_have_locks_of_their_own(make_venv: "MakeVenv") -> None:
    make_venv()
    calls = make_venv("venv-explore")
    assert installs(calls) == ["requirements/explore.txt"]
    assert all("--require-hashes" in call for call in calls if "pip install" in call)
    assert make_venv("venv-explore") == []
    locks = [f"requirements/{group}.txt" for group in ("ray", "remotes", "server", "dev")]
    assert installs(make_venv("venv-dev")) == locks
    assert make_venv("venv-dev") == []


def test_faulty_sweep_is_refused_before_anything_is_installed_for_it(
    make_venv: "MakeVenv",
) -> None:
    assert installs(make_venv("sweep"))[-1] == "requirements/ray.txt"
    (make_venv.clone.path / ".venv/ray.txt").unlink()
    # The stand-in for Python refuses what pipeline.sweep would.
    (make_venv.clone.path / "faulty").touch()
    assert installs(make_venv("sweep", check=False)) == []


def test_interrupted_setup_starts_afresh(make_venv: "MakeVenv") -> None:
    (make_venv.clone.path / "fail").touch()
    make_venv(check=False)
    (make_venv.clone.path / ".venv/half").touch()
    (make_venv.clone.path / "fail").unlink()
    assert installs(make_venv()) == ["requirements/main.txt"]
    assert not (make_venv.clone.path / ".venv/half").exists()
    assert make_venv() == []


def test_environment_has_no_conflicting_packages() -> None:
    subprocess.run([sys.executable, "-m", "pip", "check"], check=True)


def test_ui_listens_on_loopback_only(clone: Clone) -> None:
    with serve_ui(clone) as ui:
        listening = {
            connection.laddr.ip
            for process in ui.processes
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}
