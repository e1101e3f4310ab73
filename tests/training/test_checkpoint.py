"""Checkpoints of a training run: whole or not at all, and for that run only."""

import hashlib
import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from ruamel.yaml import YAML

from pipeline.core import files
from pipeline.core.package import PACKAGE
from pipeline.training import checkpoint
from pipeline.training.checkpoint import Checkpoint, add_gpus, identify_training
from tests.conftest import FROZEN, ROOT, edit_params

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


def interrupt(key: str) -> None:
    """Leave what an interrupted training run leaves."""
    with Checkpoint(key) as kept:
        kept.write(STATE)


def read(key: str) -> dict[str, bytes] | None:
    """Return what a training run finds, and leave it there."""
    with Checkpoint(key) as kept:
        state = kept.read()
    return None if state is None else {name: array.tobytes() for name, array in state.items()}


def test_what_is_written_is_read_with_equal_bits() -> None:
    assert read("a") is None
    interrupt("a")
    assert read("a") == {name: array.tobytes() for name, array in STATE.items()}


def test_another_thread_may_write() -> None:
    """The one that follows several workers."""
    with Checkpoint("a") as kept:
        thread = threading.Thread(target=kept.write, args=(STATE,))
        thread.start()
        thread.join()
    assert read("a")


def test_what_is_finished_stays_until_dvc_has_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train")
    Path("model").write_bytes(b"123456789")
    with Checkpoint("a") as kept:
        kept.write(STATE)
        kept.finish(Path("model"))
    assert read("a") is not None
    lock = "stages: {train: {outs: [{path: history, md5: x}, {path: model, md5: %s}]}}\n"
    Path("dvc.lock").write_text(lock % "y")  # of the training before
    assert read("a") is not None
    Path("dvc.lock").write_text(lock % "25f9e794323b453885f5181f1b624d0b")  # as md5sum says
    assert read("a") is None
    assert [path.suffix for path in folder.iterdir()] == [".lock"]

    interrupt("a")  # while it is trained once more
    assert read("a") is not None


def test_what_is_finished_without_dvc_is_done(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"123456789")
    with Checkpoint("a") as kept:
        kept.write(STATE)
        kept.finish(tmp_path / "model")
    assert read("a") is None


def test_another_training_does_not_find_it_and_removes_it(folder: Path) -> None:
    interrupt("a")
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
    assert waiting.endswith("a.checkpoint: another training run has it; waiting for it to end")
    assert without == "It is still running; this run keeps no checkpoint"


def test_a_lock_that_is_held_for_a_moment_is_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a training run that cleans up, or whose DVC has just been killed."""
    interrupt("a")
    monkeypatch.setattr(checkpoint, "PATIENCE", 60.0)
    lock = FileLock(folder / "a.lock", thread_local=False)
    lock.acquire()
    threading.Timer(0.3, lock.release).start()
    assert read("a") is not None


def test_a_damaged_one_is_not_used(folder: Path) -> None:
    interrupt("a")
    (path,) = folder.glob("*.checkpoint")
    whole = path.read_bytes()
    with Checkpoint("a") as kept:
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            assert kept.read() is None
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
            assert kept.read() is None
        path.write_bytes(whole)
        assert kept.read() is not None


class Trap:
    """Ends the tests where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return os._exit, (1,)


def pickled(path: Path) -> None:
    """With a digest that is right."""
    packed = io.BytesIO()
    np.savez(packed, history=np.array([Trap()], dtype=object))
    content = packed.getvalue()
    path.write_bytes(hashlib.sha256(content).digest() + content)


def huge(path: Path) -> None:
    """Arrays whose header says that they have more bytes than any machine."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (2**55,)}
    )
    content = files.pack({"history.npy": header.getvalue()})
    path.write_bytes(hashlib.sha256(content).digest() + content)


@pytest.mark.parametrize("craft", [Path.mkdir, os.mkfifo, pickled, huge])
def test_a_crafted_one_is_not_used_and_replaced(
    folder: Path, craft: Callable[[Path], None]
) -> None:
    folder.mkdir()
    craft(folder / "a.checkpoint")
    assert read("a") is None
    interrupt("a")
    assert read("a") is not None


DECLARED = """
stages:
  train:
    deps: [data/train.npy, data/train.md5, code/folder, code/single.py]
    params: [model, train.epochs, {requirements/versions.yaml: [keras]}]
  plot:
    deps: [code/plot.py]
    params: [evaluate, train.threads]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stage `train` that depends on some of the files."""
    shutil.copy(FROZEN["params.yaml"], tmp_path / "params.yaml")
    shutil.copy(ROOT / ".dvcignore", tmp_path)
    for name, content in {
        "dvc.yaml": DECLARED,
        "requirements/versions.yaml": "keras: '3'\nmatplotlib: '3'\n",
        **dict.fromkeys(("data/train.npy", "data/train.md5", "data/test.md5"), "content\n"),
        **dict.fromkeys(("code/folder/inner/module.py", "code/single.py", "code/plot.py"), "1\n"),
    }.items():
        write(name, content)(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stage as it is, with the lesson's params and made-up data."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=ignored)
    shutil.copy(FROZEN["params.yaml"], tmp_path / "params.yaml")
    shutil.copy(ROOT / ".dvcignore", tmp_path)
    (tmp_path / "requirements").mkdir()
    for name in ("dvc.yaml", "requirements/versions.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("train.md5", "val.md5", "classes.txt"):
        write(f"data/prepared/{name}", "content\n")(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


Change = Callable[[Path], None]


def write(name: str, content: str = "changed\n") -> Change:
    def apply(project: Path) -> None:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    return apply


def set_param(name: str, value: object) -> Change:
    return lambda project: edit_params(project / "params.yaml", {name: value})


def set_version(package: str) -> Change:
    def apply(project: Path) -> None:
        path, yaml = project / "requirements/versions.yaml", YAML()
        versions = yaml.load(path)
        assert package in versions
        yaml.dump(versions | {package: "0.1"}, path)

    return apply


def is_other_training_after(change: Change, project: Path) -> bool:
    before = identify_training()
    assert identify_training() == before
    change(project)
    return identify_training() != before


@pytest.mark.parametrize(
    "change",
    [
        set_param("model.dropout", 0.5),
        set_param("model.conv_blocks", []),
        set_param("train.epochs", 11),
        set_version("keras"),
        write("data/train.md5"),
        write("code/single.py"),
        write("code/folder/inner/module.py"),
        write("code/folder/new.py"),
        write("code/folder/new/__init__.py", ""),
        lambda project: (project / "code/folder/inner/module.py").unlink(),
    ],
)
def test_key_changes_with_what_is_declared(project: Path, change: Change) -> None:
    assert is_other_training_after(change, project)


@pytest.mark.parametrize(
    "change",
    [
        set_param("train.threads", 1),
        set_param("train.batch_size", 32),
        set_param("evaluate.confidence", 0.9),
        set_version("matplotlib"),
        write("data/train.npy"),  # whose checksum counts
        write("data/test.md5"),
        write("code/plot.py"),
        write("code/new.py"),
        write("code/folder/__pycache__/module.cpython-311.pyc"),
        write("code/folder/inner/.module.py.swp"),
    ],
)
def test_key_does_not_change_with_anything_else(project: Path, change: Change) -> None:
    assert not is_other_training_after(change, project)


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (set_param("model.batch_norm", True), True),
        (set_param("augmentation.rotation", 5.0), True),
        (set_param("train.threads", 1), True),
        (set_param("evaluate.confidence", 0.9), False),
        (set_version("keras"), True),
        (set_version("tensorflow"), True),
        (set_version("matplotlib"), False),
        (write("pipeline/train.py"), True),
        (write("pipeline/training/epoch_loop.py"), True),
        (write("pipeline/model/network.py"), True),
        (write("pipeline/plot.py"), False),
        (write("pipeline/tracking/store.py"), False),
        (write("data/prepared/train.md5"), True),
        (write("data/prepared/test.md5"), False),
    ],
)
def test_key_of_the_stage_is_of_what_it_uses(
    repository: Path, change: Change, counts: bool
) -> None:
    assert is_other_training_after(change, repository) == counts


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
