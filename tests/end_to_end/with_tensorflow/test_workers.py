"""Several workers train one network, as one would, whoever of them is lost."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from pipeline import evaluate
from pipeline.core.arrays import Split
from pipeline.model import network
from tests.conftest import FROZEN, ROOT, Clone
from tests.ray_nodes import TIMEOUT, Cluster, kill_all, started, wait_until

RECIPE = {
    "model.batch_norm": True,
    "model.dropout": 0.2,
    "augmentation.rotation": 10,
    "train.learning_rate_schedule": "cosine",
    "train.early_stopping_patience": 60,
}
OUTPUTS = ("models/model.keras", "metrics/history.csv")
TRAIN = ("python", "-m", "pipeline.train")
WORKER = "RayTrainWorker"
NO_RAY = "raise AssertionError('Ray is imported')"
# Sees nothing of a folder, as if it were on another machine.
APART = """
import os, sys

def refuse(event, args):
    if event in ("open", "os.listdir", "os.scandir"):
        if str(args[0]).startswith(os.environ["APART_FROM"]):
            raise PermissionError(f"{args[0]}: is on another machine")

sys.addaudithook(refuse)
"""


@pytest.fixture
def clone(clone: Clone) -> Clone:
    clone.env["PIPELINE_MLFLOW"] = "off"
    clone.edit_params({"train.threads": 1, "train.workers": 2})
    return clone


def outputs(clone: Clone) -> list[bytes]:
    return [(clone.path / path).read_bytes() for path in OUTPUTS]


def predict(clone: Clone) -> np.ndarray:
    """Return the probabilities of the test images."""
    prepared = clone.path / "data/prepared"
    images, labels = (np.load(prepared / f"test_{what}.npy") for what in ("images", "labels"))
    model = network.read_model(clone.path / OUTPUTS[0])
    return evaluate.predict(model, Split(images, labels), 10)


def test_any_number_of_workers_trains_the_same_network(clone: Clone, tmp_path: Path) -> None:
    """Without what draws at random: each has its share of the same batches."""
    (tmp_path / "ray.py").write_text(NO_RAY)
    # Of the last batch, of 2, nothing is left for two of 4 workers.
    clone.edit_params({"train.batch_size": 9, "train.workers": 1})
    clone.run(*TRAIN, PYTHONPATH=str(tmp_path))
    history, probabilities = pd.read_csv(clone.path / OUTPUTS[1]), [predict(clone)]
    clone.edit_params({"train.workers": 4})
    said = clone.run("dvc", "repro", "train").stdout.partition("> python -m pipeline.train\n")[2]
    other = pd.read_csv(clone.path / OUTPUTS[1])
    probabilities.append(predict(clone))
    pd.testing.assert_frame_equal(other, history, rtol=0, atol=1e-5)
    ranked = np.sort(probabilities[0], axis=1)
    sure = ranked[:, -1] - ranked[:, -2] > 1e-5
    assert sure.sum() > 250
    same = probabilities[1].argmax(axis=1) == probabilities[0].argmax(axis=1)
    assert same[sure].all()
    # Nothing of what Ray and TensorFlow say.
    first_words = [line.split()[0] for line in said.partition("Updating")[0].splitlines() if line]
    assert first_words == ["Epoch", "Epoch", "Trained"]


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM", "SIGKILL"])
def test_with_dvc_all_processes_end(clone: Clone, how: str) -> None:
    clone.edit_params({"train.epochs": 400})
    with started(clone, "dvc", "repro", "train") as dvc:
        assert dvc.stdout
        assert any(line.startswith("Epoch 2/") for line in dvc.stdout)
        children = psutil.Process(dvc.pid).children(recursive=True)
        assert sum(WORKER in "".join(child.cmdline()) for child in children) == 2
        if how == "Ctrl-C":
            os.killpg(dvc.pid, signal.SIGINT)
        else:
            dvc.send_signal(signal.Signals[how])
        _, left = psutil.wait_procs(children, timeout=TIMEOUT)
        assert not left
        if how == "Ctrl-C":
            *_, last, of_dvc = dvc.stdout.read().splitlines()
            assert last == "interrupted"  # and no traceback
            assert of_dvc.startswith("ERROR: failed to reproduce 'train'")


def epochs_in(lines: list[str]) -> list[int]:
    """Return the epochs that are announced."""
    return [int(line.split()[1].split("/")[0]) for line in lines if line.startswith("Epoch ")]


# What is lost at once, ten in all, and after how many epochs of the present workers; 0: while they
# start.
LOST = [
    (["worker"], 0),
    (["worker", "worker"], 2),
    (["node"], 1),
    (["stopped worker"], 1),
    (["node", "worker"], 0),
    (["worker"], 3),
    (["worker", "node"], 1),
]


def test_whatever_is_lost_training_ends_with_the_bytes_of_one_that_lost_nothing(
    clone: Clone, cluster: Cluster, tmp_path: Path
) -> None:
    epochs = 50  # more than are over after the last loss
    clone.edit_params(RECIPE | {"train.epochs": epochs, "train.precision": "mixed_bfloat16"})
    (tmp_path / "other").mkdir()
    undisturbed = clone.copy_to(tmp_path / "other/repository")
    undisturbed.run(*TRAIN)

    (tmp_path / "apart").mkdir()
    (tmp_path / "apart/sitecustomize.py").write_text(APART)
    apart = {"PYTHONPATH": str(tmp_path / "apart"), "APART_FROM": str(clone.path)}
    cluster.start(cpus=0)  # where the stage runs: the chief is always on another machine
    for _ in range(2):
        cluster.start(env=apart)
    (clone.path / "tmp").mkdir()
    env = cluster.env | {"RAY_ADDRESS": cluster.address, "TMPDIR": str(clone.path / "tmp")}
    draw = random.Random(0)  # noqa: S311, of what is lost and when; where exactly it is is chance
    known: set[int] = set()
    lines: list[str] = []
    readers: list[threading.Thread] = []
    with ExitStack() as ending:

        def start() -> subprocess.Popen[str]:
            call = ending.enter_context(started(clone, *TRAIN, PYTHONUNBUFFERED="1", **env))
            # All the time, as an epoch counts when it is over.
            readers.append(threading.Thread(target=lambda: lines.extend(call.stdout or [])))
            readers[-1].start()
            return call

        def workers() -> list[tuple[int, psutil.Process]]:
            return [one for one in cluster.processes(WORKER) if one[1].pid not in known]

        def started_or_ended(call: subprocess.Popen[str]) -> Callable[[], bool]:
            return lambda: call.poll() is not None or len(workers()) == 2

        def announced(epochs: int) -> Callable[[], bool]:
            return lambda: len(epochs_in(lines)) >= epochs

        call = start()
        for kinds, after in LOST:
            wait_until(started_or_ended(call), call)
            if call.poll() is not None:  # too often for one command
                readers[-1].join(TIMEOUT)
                assert "the same command resumes after the last whole epoch" in lines[-1]
                call = start()
            wait_until(lambda: len(workers()) == 2, call)
            wait_until(announced(len(epochs_in(lines)) + after), call)
            time.sleep(draw.uniform(0, 0.2 if after else 2))
            victims = workers()
            known |= {process.pid for _, process in victims}
            chosen = draw.sample(victims, len(kinds))
            for kind, (place, process) in zip(kinds, chosen, strict=True):
                if kind == "node":
                    kill_all(cluster.nodes[place].pid)
                else:
                    process.send_signal(signal.SIGKILL if kind == "worker" else signal.SIGSTOP)
            if "node" in kinds:
                cluster.start(env=apart)  # in place of it
        assert call.wait(TIMEOUT) == 0, "".join(lines)
        readers[-1].join(TIMEOUT)
    assert epochs_in(lines) == [*range(1, epochs + 1)]  # none was done again
    resumed = re.compile(
        r"worker \d.*: training resumes (after epoch \d+|from the start) \(\d of 3\)"
    )
    assert any(resumed.match(line) for line in lines)
    assert outputs(clone) == outputs(undisturbed)


def test_machines_that_differ_or_do_not_come_are_named(
    clone: Clone, cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "keras-0.1.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: keras\nVersion: 0.1\n"
    (tmp_path / "keras-0.1.dist-info/METADATA").write_text(metadata)
    before = outputs(clone)
    cluster.start()
    env = cluster.env | {"RAY_ADDRESS": cluster.address}
    lack = clone.run(*TRAIN, check=False, RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S="1", **env)
    assert lack.returncode == 1
    needed = r"there is no room: 2 workers need 1 cores each within 4 s, on [\d.]+ \(1 cores\); "
    assert re.search(needed, lack.stdout.splitlines()[-1])

    cluster.start(env={"PYTHONPATH": str(tmp_path)})
    result = clone.run(*TRAIN, check=False, **env)
    assert result.returncode == 1
    assert re.fullmatch(
        r"worker [01] \(.*\): has keras 0.1, but the stage has .*: make them agree",
        result.stdout.splitlines()[-1],
    )
    assert outputs(clone) == before


SEVERAL_DEVICES = """
import json, sys
from pathlib import Path
import numpy as np
from pipeline.model.runtime import tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from pipeline.core.arrays import Split
from pipeline.provenance.params import Params, load_params
from pipeline.training import replicas, trainer

images = np.random.default_rng(0).integers(0, 256, (21, 28, 28, 1), dtype=np.uint8)
split = Split(images, np.arange(21, dtype=np.uint8) % 10)
devices = [f"/CPU:{index}" for index in range(int(sys.argv[1]))]
replicas.accelerators = lambda: devices  # in place of as many GPUs
found = []
for changes in json.loads(sys.argv[2]):
    sections = load_params(Path(sys.argv[3])).model_dump()
    for name, value in changes.items():
        section, key = name.split(".")
        sections[section][key] = value
    params = Params.model_validate(sections)
    _, history = trainer.train_network(split, split, 10, params, lambda *_: 0)
    found.append(history.to_numpy().tolist())
print(json.dumps(found))
"""
TINY = {
    "model.conv_blocks": [[2]],
    "model.dense_units": [4],
    "train.epochs": 2,
    "train.batch_size": 5,
}


def run_python(code: str, *args: str) -> str:
    """Return what a program prints."""
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_several_devices_of_one_machine_train_the_same_network() -> None:
    plain = TINY
    normalized = TINY | {"model.batch_norm": True, "train.batch_size": 7}  # 21: no last one alone
    drawing = TINY | RECIPE

    def histories(devices: int, *params: dict[str, object]) -> list[np.ndarray]:
        frozen = str(FROZEN["params.yaml"])
        output = run_python(SEVERAL_DEVICES, str(devices), json.dumps(params), frozen)
        return [np.array(history) for history in json.loads(output.splitlines()[-1])]

    # Of several devices only one training in a process: TensorFlow mixes up what they exchange.
    two = [*histories(2, plain), *histories(2, normalized)]
    one = histories(1, plain, normalized)
    assert [history.shape for history in two] == [(2, 5)] * 2
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-5)
    # Two devices draw other random numbers than one, and always the same.
    np.testing.assert_array_equal(histories(2, drawing), histories(2, drawing))
