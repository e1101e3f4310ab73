"""What interruptions, damaged files and a full disk do to the stages."""

import gzip
import hashlib
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from pipeline import plot
from pipeline.core import files
from pipeline.core.errors import DataError
from tests.conftest import SMALL, Clone
from tests.faults import (
    DAMAGES,
    LIMITED,
    Damage,
    cut,
    damage_file,
    empty,
    flip_a_bit,
    forget,
    hold,
    overwrite,
    run_refused,
    wait_until_gone,
)

pytestmark = pytest.mark.untracked
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


class Trap:
    """Makes the folder `sprung` when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("sprung",)


def in_place(clone: Clone, whole: dict[str, bytes]) -> dict[str, bytes]:
    """Return those files of `whole` that the clone has, with what it has in them."""
    paths = {name: clone.path / name for name in whole}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def remove_outputs(clone: Clone, stage: str) -> None:
    """Remove the outputs of a stage, as DVC does before it runs it."""
    for output in YAML(typ="safe").load(clone.path / "dvc.lock")["stages"][stage]["outs"]:
        path = clone.path / output["path"]
        shutil.rmtree(path) if path.is_dir() else path.unlink()


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


@pytest.mark.parametrize(
    ("stage", "name", "damage"),
    [
        ("prepare", "data/raw/mnist/train-images-idx3-ubyte.gz", cut),
        ("train", "data/prepared/train_images.npy", flip_a_bit),
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
    ("name", "damages"),
    [
        ("data/prepared/test_images.npy", DAMAGES),
        ("data/observations.npz", DAMAGES),
        # Their rows and digits cannot prove that no bit has changed.
        ("metrics/history.csv", [cut, overwrite, empty]),
        ("metrics/predictions.csv", [cut, overwrite, empty]),
        ("metrics/evaluation.json", [cut, overwrite, empty]),
    ],
)
def test_no_damage_passes(
    clone: Clone,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    damages: list[Damage],
) -> None:
    monkeypatch.chdir(clone.path)
    whole = Path(name).read_bytes()
    for damage in damages:
        Path(name).write_bytes(damage(whole))
        with pytest.raises(DataError, match=rf"^{name}: is damaged.*`dvc repro`"):
            plot.main()


def test_dvc_repro_mends_damaged_files(reproduced: Clone, clone: Clone) -> None:
    for name in MADE:
        damage_file(clone.path / name, flip_a_bit)
    clone.run("dvc", "repro")
    assert clone.read() == reproduced.read()


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
    assert message.startswith(f"{name}: cannot be written: File too large")
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
