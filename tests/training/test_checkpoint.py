"""Checkpoints of a training: whole or not at all, and for that training only."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from pipeline.training import checkpoint
from pipeline.training.checkpoint import Checkpoint, add_gpus, identify_training
from tests.conftest import ROOT

STATE = {
    "weights/0": np.arange(6, dtype=np.float32).reshape(2, 3),
    "history": np.array([[0.5, np.nan]]),
    "seconds": np.array(1.5),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checkpoint, "FOLDER", tmp_path / "checkpoints")
    monkeypatch.setattr(checkpoint, "PATIENCE", 0.0)
    return tmp_path / "checkpoints"


def cut_off(key: str) -> None:
    """Leave what a training leaves that did not come to its end."""
    with suppress(KeyboardInterrupt), Checkpoint(key) as kept:
        kept.write(STATE)
        raise KeyboardInterrupt


def read(key: str) -> dict[str, bytes] | None:
    """Return what a training finds, and leave it there."""
    with suppress(KeyboardInterrupt), Checkpoint(key) as kept:
        state = kept.read()
        raise KeyboardInterrupt
    return None if state is None else {name: array.tobytes() for name, array in state.items()}


def test_what_is_written_is_read_with_equal_bits() -> None:
    assert read("a") is None
    cut_off("a")
    assert read("a") == {name: array.tobytes() for name, array in STATE.items()}


def test_nothing_is_left_of_a_training_that_ended_well(folder: Path) -> None:
    with Checkpoint("a") as kept:
        kept.write(STATE)
    assert read("a") is None
    assert list(folder.glob("*.checkpoint")) == []


def test_another_training_does_not_find_it_and_removes_it(folder: Path) -> None:
    cut_off("a")
    (folder / ".partial-a.checkpoint").write_bytes(b"half")
    assert read("b") is None
    assert [path.name for path in folder.glob("*a*")] == []
    assert [path.name for path in folder.glob(".*a*")] == []


def test_a_training_at_work_keeps_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with Checkpoint("a") as at_work:
        at_work.write(STATE)
        with Checkpoint("a") as second:
            assert second.read() is None
            second.write({"weights/0": np.zeros(1)})
        with Checkpoint("b"):
            pass
        state = at_work.read()
    assert state is not None
    assert list(state) == list(STATE)
    waiting, without = capsys.readouterr().out.splitlines()
    assert waiting.endswith("a.checkpoint: another training has it; waiting for its end")
    assert without == "It goes on; this one has no checkpoint"


def test_a_lock_that_is_held_for_a_moment_is_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a training that cleans up, or whose DVC has just been killed."""
    cut_off("a")
    monkeypatch.setattr(checkpoint, "PATIENCE", 60.0)
    lock = FileLock(folder / "a.lock", thread_local=False)
    lock.acquire()
    threading.Timer(0.3, lock.release).start()
    assert read("a") is not None


def test_a_damaged_one_is_not_used(folder: Path) -> None:
    cut_off("a")
    (path,) = folder.glob("*.checkpoint")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert read("a") is None
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        assert read("a") is None


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the stage depends on."""
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    prepared = tmp_path / "data/prepared"
    prepared.mkdir(parents=True)
    for name in ("train.md5", "val.md5", "classes.txt"):
        (prepared / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def apply(project: Path) -> None:
        text = (project / name).read_text()
        assert old in text
        (project / name).write_text(text.replace(old, new))

    return apply


@pytest.mark.parametrize(
    "change",
    [
        edit("params.yaml", "epochs: 10", "epochs: 11"),
        edit("params.yaml", "batch_size: 64", "batch_size: 32"),
        edit("pipeline/training/learner.py", "import", "import  "),
        edit("data/prepared/train.md5", "train", "other"),
    ],
)
def test_key_changes_with_params_code_and_data(
    project: Path, change: Callable[[Path], None]
) -> None:
    before = identify_training()
    assert identify_training() == before
    change(project)
    assert identify_training() != before


@pytest.mark.usefixtures("project")
def test_key_changes_with_packages_and_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def keys() -> Iterator[str]:
        yield identify_training()
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
        yield identify_training()
        monkeypatch.setattr(checkpoint, "version", lambda name: f"{name} 9")
        yield identify_training()

    assert len(set(keys())) == 3


@pytest.mark.usefixtures("project")
def test_workers_with_other_gpus_agree_but_have_other_checkpoints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys, checkpoints = set(), set()
    for visible in ("0", "1", "GPU-8932f937"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        keys.add(identify_training())
        checkpoints.add(add_gpus(identify_training()))
    assert len(keys) == 1
    assert len(checkpoints) == 3
    assert add_gpus("a") != add_gpus("b")


@pytest.mark.parametrize(
    "change",
    [
        edit("params.yaml", "confidence: 0.95", "confidence: 0.9"),
        edit("pipeline/plot.py", "import", "import  "),
    ],
)
def test_key_does_not_change_with_what_other_stages_use(
    project: Path, change: Callable[[Path], None]
) -> None:
    before = identify_training()
    change(project)
    assert identify_training() == before
