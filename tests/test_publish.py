"""Publishing after a stage: it runs first, and where it fails nothing is published."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import publish as publish_command
from pipeline.tracking import store
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


def test_fault_of_the_code_is_not_taken_for_the_stores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(_params: object) -> str:
        raise KeyError("train")

    monkeypatch.setattr(publish_command, "publish_present", fail)
    monkeypatch.setattr(publish_command, "load_params", lambda: None)
    monkeypatch.setattr(store, "import_mlflow", lambda: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "plot")
    monkeypatch.setattr(sys, "argv", ["publish"])
    with pytest.raises(KeyError, match="train"):
        publish_command.main()
