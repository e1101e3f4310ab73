"""How much of the time that MLflow has is left, from one stage of a `dvc repro` to the next."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import PipelineError
from pipeline.tracking import deadline
from tests.conftest import ROOT

SECONDS = 8.0
ASK = "from pipeline.tracking import deadline; print(deadline.remaining())"
SPEND = "from pipeline.tracking import deadline; deadline.spend(1.5, failed=False)"
FAIL = "from pipeline.tracking import deadline; deadline.spend(1.5, failed=True)"
IN_A_CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


def run(folder: Path, *code: str, stage: bool = True) -> str:
    """Run code as a stage of which this process is the DVC."""
    env = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    env |= {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
    env |= {"DVC_STAGE": "train"} if stage else {}
    command = [sys.executable, "-c", *code]
    return subprocess.check_output(command, cwd=folder, env=env, text=True)


def test_what_one_stage_waits_the_next_does_not(tmp_path: Path) -> None:
    run(tmp_path, SPEND)
    run(tmp_path, SPEND)
    assert float(run(tmp_path, ASK)) == SECONDS - 3


def test_after_a_failure_no_time_is_left(tmp_path: Path) -> None:
    run(tmp_path, FAIL)
    assert float(run(tmp_path, ASK)) == 0


@pytest.mark.parametrize("code", [SPEND, FAIL])
def test_another_dvc_has_all_of_the_time(tmp_path: Path, code: str) -> None:
    run(tmp_path, IN_A_CHILD, code)
    assert float(run(tmp_path, ASK)) == SECONDS


def test_without_dvc_nothing_is_remembered(tmp_path: Path) -> None:
    run(tmp_path, FAIL, stage=False)
    assert float(run(tmp_path, ASK)) == SECONDS
    run(tmp_path, FAIL)
    assert float(run(tmp_path, ASK, stage=False)) == SECONDS


def test_a_note_that_cannot_be_written_fails_no_stage(tmp_path: Path) -> None:
    (tmp_path / ".dvc").touch()
    run(tmp_path, FAIL)
    assert float(run(tmp_path, ASK)) == SECONDS


def test_another_number_of_seconds_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("PIPELINE_MLFLOW_SECONDS", "20.5")
    assert deadline.remaining() == 20.5


def test_database_that_cannot_be_looked_for_fails_no_stage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    assert deadline.remaining() == SECONDS


@pytest.mark.parametrize("given", ["long", "", "inf", "nan", "-1", "1e300"])
def test_what_is_no_number_of_seconds_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("PIPELINE_MLFLOW_SECONDS", given)
    expected = f"must be a number of seconds from 0 to 86,400, got '{given}'"
    with pytest.raises(PipelineError, match=expected):
        deadline.remaining()


@pytest.mark.parametrize("note", ["{}", "[]", "null", '{"dvc": 1}', '{"dvc": "a", "failed": true}'])
def test_a_note_that_nobody_has_written_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    Path(".dvc/tmp").mkdir(parents=True)
    Path(".dvc/tmp/mlflow-waited.json").write_text(note)
    assert deadline.remaining() == SECONDS
