"""Publishing after a stage: it runs first, and where it fails nothing is published."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file for a module, `stage`, that can be imported."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    monkeypatch.setenv("PIPELINE_MLFLOW", "off")
    return tmp_path / "stage.py"


def publish() -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.publish", "--after", "stage"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_module_runs_before_anything_is_published(module: Path) -> None:
    module.write_text("print('drawn')")
    published = publish()
    assert published.returncode == 0
    assert published.stdout == "drawn\nMLflow is off: PIPELINE_MLFLOW=off\n"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("raise SystemExit(2)", 2),
        (f"import os; os.kill(os.getpid(), {signal.SIGTERM})", 128 + signal.SIGTERM),
    ],
)
def test_where_it_fails_it_says_how_and_nothing_is_published(
    module: Path, code: str, status: int
) -> None:
    module.write_text(code)
    published = publish()
    assert published.returncode == status
    assert published.stdout == published.stderr == ""
