"""Several workers train one network, as one would, and say who was lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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

RECIPE = {
    "model.batch_norm": True,
    "model.dropout": 0.2,
    "augmentation.rotation": 10,
    "train.learning_rate_schedule": "cosine",
    "train.early_stopping_patience": 9,
}
OUTPUTS = ("models/model.keras", "metrics/history.csv")
LIMIT = 60  # seconds in which all know that one was lost


def train(clone: Clone) -> str:
    return clone.run("python", "-m", "pipeline.train", PIPELINE_MLFLOW="off").stdout


def outputs(clone: Clone) -> list[bytes]:
    return [(clone.path / path).read_bytes() for path in OUTPUTS]


def predict(clone: Clone) -> np.ndarray:
    """Return the probabilities of the test images."""
    prepared = clone.path / "data/prepared"
    images, labels = (np.load(prepared / f"test_{what}.npy") for what in ("images", "labels"))
    model = network.read_model(clone.path / OUTPUTS[0])
    return evaluate.predict(model, Split(images, labels), 10)


def test_any_number_of_workers_trains_the_same_network(clone: Clone) -> None:
    """Without what draws at random: each has its share of the same batches."""
    clone.env["PIPELINE_MLFLOW"] = "off"
    histories, probabilities = [], []
    for workers in (1, 4):
        # Of the last batch, of 2, nothing is left for two of 4 workers.
        clone.edit_params({"train.workers": workers, "train.batch_size": 9, "train.threads": 1})
        if workers == 4:
            assert "> python -m pipeline.train" in clone.run("dvc", "repro", "train").stdout
        else:
            train(clone)
        histories.append(pd.read_csv(clone.path / OUTPUTS[1]))
        probabilities.append(predict(clone))
    for history, probability in zip(histories[1:], probabilities[1:], strict=True):
        pd.testing.assert_frame_equal(history, histories[0], rtol=0, atol=1e-5)
        ranked = np.sort(probabilities[0], axis=1)
        sure = ranked[:, -1] - ranked[:, -2] > 1e-5
        assert sure.sum() > 250
        same = probability.argmax(axis=1) == probabilities[0].argmax(axis=1)
        assert same[sure].all()


class Group:
    """Workers that TF_CONFIG brings together, each in a clone."""

    def __init__(self, clones: list[Clone]) -> None:
        with ExitStack() as free:
            servers = [free.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in clones]
            self.addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]
        self.workers = [
            clone.popen(
                "python",
                "-m",
                "pipeline.train",
                PIPELINE_MLFLOW="off",
                TF_CONFIG=json.dumps(
                    {
                        "cluster": {"worker": self.addresses},
                        "task": {"type": "worker", "index": index},
                    }
                ),
            )
            for index, clone in enumerate(clones)
        ]

    def follow(self, text: str) -> None:
        """Wait until the chief has said this."""
        stdout = self.workers[0].stdout
        assert stdout
        for line in stdout:
            if text in line:
                return
        pytest.fail(f"the chief did not say {text!r}")

    def end(self) -> None:
        """Kill those that are left."""
        for worker in self.workers:
            worker.kill()
            worker.wait()


@pytest.fixture
def start(clone: Clone, tmp_path: Path) -> Iterator[Callable[[int], Group]]:
    """Start workers in as many clones, of which the first is `clone`."""
    clone.edit_params({"train.epochs": 400, "train.threads": 1})
    groups: list[Group] = []

    def begin(workers: int) -> Group:
        clone.edit_params({"train.workers": workers})
        clones = [clone]
        for index in range(1, workers):
            (tmp_path / str(index)).mkdir()
            clones.append(clone.copy_to(tmp_path / str(index) / "repository"))
        groups.append(Group(clones))
        return groups[-1]

    yield begin
    for group in groups:
        group.end()


@pytest.mark.parametrize(
    ("lost", "how"), [(0, signal.SIGKILL), (2, signal.SIGKILL), (1, signal.SIGSTOP)]
)
def test_those_that_are_left_name_the_one_that_is_lost(
    clone: Clone, start: Callable[[int], Group], lost: int, how: signal.Signals
) -> None:
    before = outputs(clone)
    group = start(3)
    group.follow("Epoch 2/")
    group.workers[lost].send_signal(how)
    give_up = time.monotonic() + LIMIT
    for left in (worker for worker in group.workers if worker is not group.workers[lost]):
        output, _ = left.communicate(timeout=give_up - time.monotonic())
        assert left.returncode == 1
        assert output.splitlines()[-1].startswith(
            f"worker {lost} ({group.addresses[lost]}): died or cannot be reached; nothing was "
            "written"
        )
    assert outputs(clone) == before


def test_worker_that_cannot_start_is_named_by_itself_and_by_the_other(
    clone: Clone, start: Callable[[int], Group]
) -> None:
    before = outputs(clone)
    group = start(2)
    host, _, port = group.addresses[1].partition(":")
    with socket.create_server((host, int(port))):
        said = [worker.communicate(timeout=2 * LIMIT)[0] for worker in group.workers]
    assert all(worker.returncode for worker in group.workers)
    name = f"worker 1 ({group.addresses[1]})"
    assert said[0].splitlines()[-1] == f"{name}: was lost while TensorFlow started"
    assert said[1].splitlines()[-1].startswith(f"{name}: TensorFlow cannot start here: ")
    assert outputs(clone) == before


def test_workers_in_two_clones_write_nothing_but_the_chiefs_outputs(
    clone: Clone, start: Callable[[int], Group], tmp_path: Path
) -> None:
    clone.edit_params({"train.epochs": 1})
    before = outputs(clone)
    group = start(2)
    for worker in group.workers:
        output, _ = worker.communicate()
        assert worker.returncode == 0, output
    assert outputs(clone) != before
    assert outputs(Clone(tmp_path / "1/repository")) == before


def test_training_of_two_repeats_itself_also_after_one_was_lost(clone: Clone) -> None:
    clone.edit_params(RECIPE | {"train.workers": 2, "train.epochs": 12})
    train(clone)
    expected = outputs(clone)
    for path in OUTPUTS:
        (clone.path / path).unlink()

    chief = clone.popen("python", "-m", "pipeline.train", PIPELINE_MLFLOW="off")
    assert chief.stdout
    for line in chief.stdout:
        if line.startswith("Epoch 2/"):
            break
    (helper,) = [
        one
        for one in psutil.Process(chief.pid).children()
        if one.cmdline()[1:] == ["-m", "pipeline.train"]
    ]
    helper.kill()
    output, _ = chief.communicate(timeout=LIMIT)
    assert chief.returncode == 1
    assert "worker 1 (127.0.0.1:" in output.splitlines()[-1]
    assert not any((clone.path / path).exists() for path in OUTPUTS)

    again = train(clone)
    assert again.startswith("Resuming after epoch ")
    assert outputs(clone) == expected


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
SHARE = """
import numpy as np
from pipeline.model.runtime import tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from pipeline.training import replicas

arrays = {"weight": np.array(0.5, np.float32), "history": np.array([[0.1, np.nan]])}
strategy = tf.distribute.MirroredStrategy(["/CPU:0", "/CPU:1"])  # of a chief with two GPUs
shared = replicas.broadcast(strategy, arrays, is_chief=True)
print({name: (array.dtype.str, array.shape, array.tolist()) for name, array in shared.items()})
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


def test_state_that_a_chief_of_several_devices_shares_is_its_own() -> None:
    expected = "{'weight': ('<f4', (), 0.5), 'history': ('<f8', (1, 2), [[0.1, nan]])}\n"
    assert run_python(SHARE) == expected
