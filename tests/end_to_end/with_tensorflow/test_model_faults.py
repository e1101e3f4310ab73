"""What damaged and hostile models and a full disk do to the stages that load TensorFlow."""

import os
import re
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.core import files
from pipeline.core.errors import DataError
from pipeline.model import network
from pipeline.model.paths import MODEL
from pipeline.model.runtime import keras
from tests.conftest import Clone
from tests.faults import (
    DAMAGES,
    LIMITED,
    damage_file,
    flip_a_bit,
    forget,
    hold,
    run_refused,
    wait_until_gone,
)

pytestmark = pytest.mark.untracked


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


def test_damaged_model_is_named_by_the_stage_that_reads_it(clone: Clone) -> None:
    damage_file(clone.path / "models/model.keras", flip_a_bit)
    before = clone.read()
    message = run_refused(clone, "evaluate")
    assert message.startswith("models/model.keras: is damaged")
    assert "dvc repro" in message
    assert clone.read() == before


def test_no_damage_passes(
    reproduced: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (reproduced.path / MODEL).read_bytes()
    monkeypatch.chdir(tmp_path)
    MODEL.parent.mkdir()
    for damage in DAMAGES:
        MODEL.write_bytes(damage(whole))
        with pytest.raises(DataError, match=rf"^{MODEL}: is damaged.*`dvc repro`"):
            network.read_model(MODEL)


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


def test_checkpoint_on_a_full_disk_is_reported_and_leaves_no_half_file(clone: Clone) -> None:
    # Not a full disk but, in the middle of the file, an error like that of one.
    model = clone.path / "models/model.keras"
    limit = model.stat().st_size - 1
    model.unlink()
    result = clone.run(
        *("python", "-c", LIMITED, str(limit), "python", "-m", "pipeline.train"), check=False
    )
    assert result.returncode == 1
    # A checkpoint is larger than the model, which comes after it.
    assert re.match(
        r"\.dvc/tmp/checkpoints/\w+\.checkpoint: cannot be written: File too large",
        result.stdout.splitlines()[-1],
    )
    assert "Traceback" not in result.stdout
    assert not model.exists()
    assert not list(clone.path.rglob(".partial*"))


def test_no_code_in_a_model_is_run(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone.path.parent)  # where the layer is called while the model is built
    layers = keras.layers
    trap = layers.Lambda(lambda x: [__import__("os").makedirs("sprung", exist_ok=True), x][1])
    model = keras.Sequential([keras.Input((28, 28, 1), dtype="uint8"), layers.Flatten(), trap])
    model.save(clone.path / "models/model.keras")
    assert run_refused(clone, "evaluate").startswith("models/model.keras: cannot be loaded")
    assert not (clone.path / "sprung").exists()
