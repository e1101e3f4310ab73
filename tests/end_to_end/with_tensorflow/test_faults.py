"""What interruptions, damaged files, a full disk and hostile files do to the stages."""

import gzip
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from pipeline import plot
from pipeline.core import files
from pipeline.core.errors import DataError
from pipeline.model import network
from pipeline.model.paths import MODEL
from pipeline.model.runtime import keras
from tests.conftest import SMALL, Clone

pytestmark = pytest.mark.untracked
HOLD = Path(__file__).parents[2] / "hold"
TIMEOUT = 120  # seconds: generous, for machines under load
# For each stage, the output that it is held at: some are in place then, and some are not.
MIDDLE = {
    "prepare": "data/prepared/val_images.npy",
    "train": "metrics/history.csv",
    "evaluate": "metrics/predictions.csv",
    "plot": "metrics/figures/confusion_matrix.png",
}
# The largest output of each stage: the others fit where it does not.
LARGEST = {
    "prepare": "data/prepared/test_images.npy",
    "train": "models/model.keras",
    "evaluate": "data/observations.npz",
    "plot": "metrics/network/typical_and_unsure.png",
}
MADE = {*MIDDLE.values(), *LARGEST.values()}
# Runs a command that can write no file above a size in bytes.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Trap:
    """Makes the folder `sprung` when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("sprung",)


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
    lock = clone.path / "dvc.lock"
    lock.write_text(lock.read_text().replace(f"python -m pipeline.{stage}\n", "python old.py\n"))
    shutil.rmtree(clone.path / ".dvc/cache/runs")


def in_place(clone: Clone, whole: dict[str, bytes]) -> dict[str, bytes]:
    """Return those files of `whole` that the clone has, with what it has in them."""
    paths = {name: clone.path / name for name in whole}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def remove_outputs(clone: Clone, stage: str) -> None:
    """Remove the outputs of a stage, as DVC does before it runs it."""
    for output in YAML(typ="safe").load(clone.path / "dvc.lock")["stages"][stage]["outs"]:
        path = clone.path / output["path"]
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def run_refused(clone: Clone, stage: str) -> str:
    """Run a stage that cannot do its work; return the one line that says why."""
    result = clone.run("python", "-m", f"pipeline.{stage}", check=False)
    assert result.returncode == 1
    assert result.stdout.count("\n") == 1, result.stdout
    return result.stdout


@pytest.mark.parametrize(("stage", "place"), MIDDLE.items())
def test_whatever_stops_a_stage_no_half_output_is_taken_for_a_whole_one(
    reproduced: Clone, clone: Clone, stage: str, place: str
) -> None:
    whole = reproduced.read()
    forget(clone, stage)
    done = (clone.path / "dvc.lock").read_bytes()

    def stop(kill: Callable[[int, int], None], number: int, *, of_dvc: bool) -> str:
        dvc, held = hold(clone, place)
        kill(dvc.pid if of_dvc else held, number)
        output = wait_until_gone(dvc)
        assert dvc.returncode != 0
        assert (clone.path / "dvc.lock").read_bytes() == done
        found = in_place(clone, whole)
        assert place not in found
        assert found | {"dvc.lock": whole["dvc.lock"]} == {name: whole[name] for name in found}
        # Only a stage that is killed itself cannot clean up; Git ignores what it leaves.
        half_files = list(clone.path.rglob(".partial-*"))
        assert bool(half_files) == (number == signal.SIGKILL and not of_dvc)
        assert ".partial" not in clone.run("git", "status", "--porcelain").stdout
        return output

    # As a terminal does.
    assert "interrupted" in stop(os.killpg, signal.SIGINT, of_dvc=True)
    stop(os.kill, signal.SIGKILL, of_dvc=False)
    if stage == "prepare":  # which starts soonest; all share what ends them
        assert "Traceback" not in stop(os.kill, signal.SIGTERM, of_dvc=False)
        stop(os.kill, signal.SIGTERM, of_dvc=True)
        stop(os.kill, signal.SIGKILL, of_dvc=True)

    clone.run("dvc", "repro")
    assert clone.read() == whole


def test_a_training_does_not_outlive_its_dvc_and_spoil_the_next_run(clone: Clone) -> None:
    clone.edit_params({"train.epochs": 500})
    dvc = clone.popen("dvc", "repro")
    assert dvc.stdout
    assert any("Epoch 3/500" in line for line in dvc.stdout)
    dvc.kill()
    dvc.wait()
    clone.edit_params({"train.epochs": 3})
    clone.run("dvc", "repro")
    wait_until_gone(dvc)

    history = (clone.path / "metrics/history.csv").read_bytes()
    assert [row.split(b",")[0] for row in history.splitlines()] == [b"epoch", b"1", b"2", b"3"]
    outputs = YAML(typ="safe").load(clone.path / "dvc.lock")["stages"]["train"]["outs"]
    assert {output["path"]: output["md5"] for output in outputs} == {
        name: hashlib.md5((clone.path / name).read_bytes(), usedforsecurity=False).hexdigest()
        for name in ("models/model.keras", "metrics/history.csv")
    }


def test_a_stage_whose_dvc_is_killed_while_it_loads_does_nothing(clone: Clone) -> None:
    forget(clone, "train")
    dvc, _ = hold(clone, "keras")
    dvc.kill()
    dvc.wait()
    (clone.path.parent / "held").unlink()
    wait_until_gone(dvc)
    assert not (clone.path / "models/model.keras").exists()
    assert not (clone.path / "metrics/history.csv").exists()


def test_ctrl_c_while_a_stage_loads_shows_no_traceback(clone: Clone) -> None:
    forget(clone, "train")
    dvc, _ = hold(clone, "keras")
    os.killpg(dvc.pid, signal.SIGINT)
    output = wait_until_gone(dvc)
    assert dvc.returncode != 0
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("stage", "name", "damage"),
    [
        ("prepare", "data/raw/mnist/train-images-idx3-ubyte.gz", cut),
        ("train", "data/prepared/train_images.npy", flip_a_bit),
        ("evaluate", "models/model.keras", flip_a_bit),
        ("evaluate", "data/prepared/test_labels.npy", empty),
        ("plot", "data/observations.npz", cut),
    ],
)
def test_damaged_file_is_named_by_the_stage_that_reads_it(
    clone: Clone, stage: str, name: str, damage: Damage
) -> None:
    damage_file(clone.path / name, damage)
    before = clone.read()
    message = run_refused(clone, stage)
    if stage == "prepare":
        assert message == f"{name}: its gzip data is cut short; get the file again\n"
    else:
        assert message.startswith(f"{name}: is damaged")
        assert "dvc repro" in message
    assert clone.read() == before


@pytest.mark.parametrize(
    ("read", "name", "damages"),
    [
        (partial(network.read_model, MODEL), "models/model.keras", DAMAGES),
        (plot.main, "data/prepared/test_images.npy", DAMAGES),
        (plot.main, "data/observations.npz", DAMAGES),
        # Their rows and digits cannot prove that no bit has changed.
        (plot.main, "metrics/history.csv", [cut, overwrite, empty]),
        (plot.main, "metrics/predictions.csv", [cut, overwrite, empty]),
        (plot.main, "metrics/evaluation.json", [cut, overwrite, empty]),
    ],
)
def test_no_damage_passes(
    clone: Clone,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[], object],
    name: str,
    damages: list[Damage],
) -> None:
    monkeypatch.chdir(clone.path)
    whole = Path(name).read_bytes()
    for damage in damages:
        Path(name).write_bytes(damage(whole))
        with pytest.raises(DataError, match=rf"^{name}: is damaged.*`dvc repro`"):
            read()


def test_dvc_repro_mends_damaged_files(reproduced: Clone, clone: Clone) -> None:
    for name in MADE:
        damage_file(clone.path / name, flip_a_bit)
    clone.run("dvc", "repro")
    assert clone.read() == reproduced.read()


def test_object_that_rots_in_the_cache_is_named_with_what_mends_it(
    reproduced: Clone, clone: Clone
) -> None:
    model = clone.path / "models/model.keras"
    digest = files.md5(model)
    cached = clone.path / f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}"
    clone.run("dvc", "status")  # and so DVC knows the files of this copy
    for path in (model, cached):
        before = path.stat()
        path.chmod(0o644)
        path.write_bytes(flip_a_bit(path.read_bytes()))
        path.chmod(before.st_mode)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "up to date" in clone.run("dvc", "status").stdout  # DVC does not see it

    refused = clone.run("python", "-m", "pipeline.promote", check=False).stdout
    message = run_refused(clone, "evaluate")
    for said in (refused, message):
        assert "what DVC's cache has of it is damaged, too: `rm -f models/model.keras .dvc/" in said
    remove, repro = re.findall("`(.*?)`", message)
    clone.run(*remove.split())
    clone.run(*repro.split())
    assert clone.read() == reproduced.read()


def test_no_damage_to_the_directory_of_a_model_file_is_another_error(
    reproduced: Clone, tmp_path: Path
) -> None:
    """Flags, versions and names in a zip archive have no checksum."""
    path = tmp_path / "model.keras"
    whole = (reproduced.path / "models/model.keras").read_bytes()
    path.write_bytes(whole)
    weights = network.read_model(path).get_weights()
    with zipfile.ZipFile(path) as archive:
        directory = range(archive.start_dir, len(whole))
    refused = 0
    for place in directory:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            found = network.read_model(path).get_weights()
        except DataError:
            refused += 1
        else:
            assert all(map(np.array_equal, found, weights))
    assert refused


@pytest.mark.parametrize(("stage", "name"), LARGEST.items())
def test_full_disk_is_reported_and_leaves_no_half_file(
    reproduced: Clone, clone: Clone, stage: str, name: str
) -> None:
    whole = reproduced.read()
    if stage == "plot":  # which picture is the largest depends on the network
        pictures = [name for name in whole if name.startswith("metrics/network/")]
        name = max(pictures, key=lambda name: len(whole[name]))
    remove_outputs(clone, stage)
    for packed in (clone.path / "data/raw/mnist").glob("*.gz"):  # into a larger file
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    # Not a full disk but, in the middle of the file, an error like that of one.
    limit = len(whole[name]) - 1
    result = clone.run(
        "python", "-c", LIMITED, str(limit), "python", "-m", f"pipeline.{stage}", check=False
    )
    assert result.returncode == 1
    message = result.stdout.splitlines()[-1]
    # A checkpoint is larger than the model, which comes after it.
    written = r"\.dvc/tmp/checkpoints/\w+\.checkpoint" if stage == "train" else re.escape(name)
    assert re.match(f"{written}: cannot be written: File too large", message)
    assert "Traceback" not in result.stdout
    found = in_place(clone, whole)
    assert name not in found
    assert found == {name: whole[name] for name in found}
    assert not list(clone.path.rglob(".partial*"))


def test_temporary_file_on_a_full_disk_is_reported(clone: Clone) -> None:
    result = clone.run(
        *("python", "-c", LIMITED, "100000", "python", "-m", "pipeline.prepare"), check=False
    )
    assert result.returncode == 1
    assert re.fullmatch(
        r"/.*: a temporary file cannot be written: File too large; TMPDIR can name .*\n",
        result.stdout,
    )


def test_no_object_in_an_array_is_unpickled(clone: Clone) -> None:
    labels = clone.path / "data/prepared/test_labels.npy"
    proof = clone.path / "data/prepared/test.md5"
    true = files.md5(labels)
    np.save(labels, np.array([Trap()], dtype=object), allow_pickle=True)
    proof.write_text(proof.read_text().replace(true, files.md5(labels)))
    assert run_refused(clone, "plot").startswith("data/prepared/test_labels.npy: is damaged")
    assert not (clone.path / "sprung").exists()


def test_no_code_in_a_model_is_run(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone.path.parent)  # where the layer is called while the model is built
    layers = keras.layers
    trap = layers.Lambda(lambda x: [__import__("os").makedirs("sprung", exist_ok=True), x][1])
    model = keras.Sequential([keras.Input((28, 28, 1), dtype="uint8"), layers.Flatten(), trap])
    model.save(clone.path / "models/model.keras")
    assert run_refused(clone, "evaluate").startswith("models/model.keras: cannot be loaded")
    assert not (clone.path / "sprung").exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("prepare.train_samples", 0, "must be at least 1, got 0"),
        ("train.epochs", "ten", "must be a whole number, got 'ten'"),
    ],
)
def test_bad_param_is_one_line_and_corrected_restores_everything(
    reproduced: Clone, clone: Clone, name: str, value: object, message: str
) -> None:
    clone.edit_params({name: value})
    result = clone.run("dvc", "repro", check=False)
    assert result.returncode != 0
    assert f"params.yaml: {name}: {message}" in result.stdout.splitlines()
    assert "Traceback" not in result.stdout
    clone.edit_params({name: SMALL[name]})
    clone.run("dvc", "repro")
    assert clone.read() == reproduced.read()
