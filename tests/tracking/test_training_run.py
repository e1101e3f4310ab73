"""The run of a training: what is refused before it begins makes none, and costs no wait."""

import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.provenance.git import GitError
from pipeline.provenance.params import load_params
from pipeline.tracking import deadline, training_run
from pipeline.tracking.training_run import TrainingRun
from tests.conftest import FROZEN


def test_where_git_does_not_answer_there_is_one_line_and_no_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_params: object) -> Any:  # noqa: ANN401
        raise GitError("Git: it is broken")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.setattr(training_run, "load_params", lambda: load_params(FROZEN["params.yaml"]))
    monkeypatch.setattr(training_run, "present_origin", fail)
    waits = [sys.executable, "-c", "import sys, time; sys.stdin.read(); time.sleep(60)"]
    monkeypatch.setattr(training_run, "COMMAND", waits)
    with TrainingRun("key") as run:
        run.begin()
        run.log_epoch(1, {"loss": 0.5})
    (line,) = capfd.readouterr().err.splitlines()
    assert "Git: it is broken" in line
    assert deadline.remaining() == 0
