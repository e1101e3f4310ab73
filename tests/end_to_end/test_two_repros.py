"""A second `dvc repro` in a workspace where one is running."""

import subprocess

import psutil
import pytest
from dvc.lock import make_lock

from tests.conftest import Clone
from tests.end_to_end.with_tensorflow.test_endings import held
from tests.processes import TIMEOUT, wait_until
from tests.ui import use_this_environment

# A module that each command imports when it runs, and no other command before.
AT_WORK = {
    "prepare": "pipeline.data.dataset",
    "train": "pipeline.training.trainer",
    "evaluate": "pipeline.evaluation.attribution",
    "publish": "pipeline.tracking.publication",  # and then waits for `plot`
    "plot": "pipeline.figures.curves",
}


def test_second_repro_is_refused_in_every_stage_and_damages_nothing(
    reproduced: Clone, clone: Clone
) -> None:
    (clone.path / "dvc.lock").unlink()
    clone.run("rm", "-r", ".dvc/cache")
    flag = clone.path.parent / "held"
    with held(clone, " ".join(AT_WORK.values())) as (first, _):
        for command in AT_WORK:
            wait_until(lambda: first.poll() is not None or bool(flag.exists() and flag.read_text()))
            process = psutil.Process(int(flag.read_text()))
            assert process.cmdline()[1:3] == ["-m", f"pipeline.{command}"]
            second = clone.run("dvc", "repro", check=False)
            assert second.returncode != 0
            assert "is busy, it is being blocked by:" in second.stdout
            assert f"(PID {first.pid}): " in second.stdout
            flag.unlink()
        output, _ = first.communicate(timeout=TIMEOUT)
    assert first.returncode == 0, output
    assert clone.read() == reproduced.read()
    assert clone.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"


def test_make_repro_waits_while_another_command_holds_the_lock(clone: Clone) -> None:
    """For longer than DVC's own 3 s, after which `dvc repro` is refused."""
    use_this_environment(clone)
    (clone.path / ".dvc/tmp").mkdir(exist_ok=True)
    with make_lock(str(clone.path / ".dvc/tmp/lock")):
        refused = clone.run("dvc", "repro", check=False)
        assert refused.returncode != 0
        assert "Unable to acquire lock. Most likely another DVC process is" in refused.stdout
        repro = clone.popen("make", "-o", "venv", "repro")
        with pytest.raises(subprocess.TimeoutExpired):
            repro.wait(timeout=8)
    output, _ = repro.communicate(timeout=TIMEOUT)
    assert repro.returncode == 0, output
    assert "Data and pipelines are up to date." in output
