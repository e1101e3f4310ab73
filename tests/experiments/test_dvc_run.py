"""A call of DVC ends with what has called it."""

import signal
import subprocess
import sys
from typing import Any

import pytest

from pipeline.experiments import dvc_run


def test_what_is_stopped_while_dvc_starts_leaves_none_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            super().__init__(*args, **kwargs)
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    monkeypatch.setattr(dvc_run, "COMMAND", [sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(dvc_run, "STOP_SECONDS", 0.1)
    with pytest.raises(KeyboardInterrupt):
        dvc_run.run_experiment("name", {}, {})
    (dvc,) = started
    try:
        assert dvc.poll() is not None
    finally:
        dvc.kill()
        dvc.wait()
