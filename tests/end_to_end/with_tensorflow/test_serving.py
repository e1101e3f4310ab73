"""The champion behind its server, and the model that MLflow holds."""

import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
import psutil
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from ruamel.yaml import YAML

from pipeline.core.package import PACKAGE
from pipeline.tracking.models.registry import name_model
from tests.conftest import Clone
from tests.mlflow_store import lose_store
from tests.processes import terminate_all

Images = npt.NDArray[np.uint8]


class Server(NamedTuple):
    """A running server, and the process that make started."""

    port: int
    process: psutil.Process

    def post(self, body: object) -> tuple[int, Any]:
        """Send bytes, or anything else as JSON; return status and answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        with closing(connection):
            connection.request(
                "POST", "/invocations", content, {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            return answer.status, json.load(answer)


@pytest.fixture(scope="module")
def promoted(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone with an MLflow store of its own, in which the state is the champion."""
    clone = reproduced.copy_to(tmp_path_factory.mktemp("serving") / "repository")
    lose_store(clone)
    clone.run("python", "-m", "pipeline.promote")
    return clone


@pytest.fixture(scope="module")
def server(promoted: Clone) -> Iterator[Server]:
    (promoted.path / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    make = promoted.popen("make", "-o", "venv", "serve", "PORT=0")
    process = psutil.Process(make.pid)
    try:
        assert make.stdout
        said = ""
        while "answers at" not in said and (line := make.stdout.readline()):
            said += line
        port = re.search(r"http://127\.0\.0\.1:(\d+)/invocations", said)
        assert port, said
        yield Server(int(port[1]), process)
    finally:
        terminate_all(process)
        make.communicate(timeout=60)


@pytest.fixture(scope="module")
def images(promoted: Clone) -> Images:
    loaded: Images = np.load(promoted.path / "data/prepared/test_images.npy")
    return loaded


@pytest.fixture(scope="module")
def predictions(promoted: Clone) -> pd.DataFrame:
    """What the stage `evaluate` predicted."""
    return pd.read_csv(promoted.path / "metrics/predictions.csv")


def assert_as_evaluated(probabilities: npt.ArrayLike, predictions: pd.DataFrame) -> None:
    found = np.asarray(probabilities)
    assert found.shape == (len(predictions), 10)
    np.testing.assert_array_equal(found.argmax(axis=1), predictions["predicted"])
    np.testing.assert_allclose(found.max(axis=1), predictions["probability"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("key", ["inputs", "instances"])
def test_server_answers_as_evaluated(
    server: Server, images: Images, predictions: pd.DataFrame, key: str
) -> None:
    status, answer = server.post({key: images.tolist()})
    assert status == 200
    assert answer["classes"] == [str(digit) for digit in range(10)]
    assert_as_evaluated(answer["predictions"], predictions)


def test_server_answers_for_a_single_image(
    server: Server, images: Images, predictions: pd.DataFrame
) -> None:
    status, answer = server.post({"inputs": images[7:8].tolist()})
    assert status == 200
    assert_as_evaluated(answer["predictions"], predictions[7:8])


def with_pixel(image: Images, value: object) -> list[Any]:
    """Return two images as JSON has them, with one pixel of the second replaced."""
    batch = [image.tolist(), image.tolist()]
    batch[1][14][14][0] = value
    return batch


SHAPE = "(images, 28, 28, 1)"
RANGE = "whole numbers from 0 to 255"


@pytest.mark.parametrize(
    ("make_body", "message"),
    [
        (lambda _: b'{"inputs": [[', "valid JSON"),
        (lambda _: b"\xff\xfe", "valid JSON"),
        (lambda image: [image.tolist()], "JSON dictionary"),
        (lambda image: {"images": [image.tolist()]}, "one of inputs and instances"),
        (lambda image: {"inputs": [image.ravel().tolist()]}, f"{SHAPE}, got (1, 784)"),
        (lambda image: {"inputs": image.tolist()}, f"{SHAPE}, got (28, 28, 1)"),
        (lambda image: {"inputs": [image.tolist(), image.tolist()[1:]]}, "differ in size"),
        (lambda image: {"inputs": with_pixel(image, "12")}, "numbers, got text"),
        (lambda image: {"inputs": with_pixel(image, "twelve")}, "numbers, got text"),
        (lambda image: {"inputs": with_pixel(image, None)}, "numbers, got null"),
        (lambda image: {"inputs": [(image > 0).tolist()]}, "numbers, got true and false"),
        (lambda image: {"inputs": with_pixel(image, float("nan"))}, "image 1 (from 0) has nan"),
        (lambda image: {"inputs": with_pixel(image, float("inf"))}, "image 1 (from 0) has inf"),
        (lambda image: {"inputs": with_pixel(image, 256)}, f"{RANGE}, not scaled; image 1"),
        (lambda image: {"inputs": with_pixel(image, -1)}, f"{RANGE}, not scaled; image 1"),
        (lambda image: {"inputs": with_pixel(image, 12.5)}, f"{RANGE}, not scaled; image 1"),
        (lambda image: {"inputs": [(image / 255).tolist()]}, f"{RANGE}, not scaled; image 0"),
        (lambda image: {"inputs": [(image // 255).tolist()]}, "scaled to 0..1"),
        (lambda _: {"inputs": []}, "there is no image"),
        (lambda _: {"instances": []}, "there is no image"),
        (lambda _: {"inputs": None}, f"{SHAPE}, got a NoneType"),
        (lambda _: {"inputs": {"pixels": [0]}}, f"{SHAPE}, got a dict"),
        (
            lambda image: {"dataframe_split": {"columns": [0], "data": [[image.ravel().tolist()]]}},
            "one of inputs and instances",
        ),
    ],
)
def test_what_is_no_raw_image_is_refused_and_the_server_goes_on(
    server: Server,
    images: Images,
    predictions: pd.DataFrame,
    make_body: Callable[[Images], object],
    message: str,
) -> None:
    status, answer = server.post(make_body(images[0]))
    assert status == 400
    assert message in answer["message"]
    assert len(answer["message"]) <= 300

    status, answer = server.post({"inputs": images[:1].tolist()})
    assert status == 200
    assert_as_evaluated(answer["predictions"], predictions[:1])


def test_memory_after_hostile_requests_is_as_before(server: Server, images: Images) -> None:
    largest = 4_000_000  # bytes, as many as a body may have
    bodies = {
        b'{"inputs": ' + b"[" * (largest - 11): 400,
        b'{"inputs": ' + b"9" * (largest - 12) + b"}": 400,
        b'{"inputs": [' + b"[1]," * (largest // 4 - 4) + b"[1]]}": 400,
        b'{"inputs": "' + b"x" * (largest - 14) + b'"}': 400,
        b"\0" * 2 * largest: 413,
        json.dumps({"inputs": images.tolist()}).encode(): 200,
    }

    def memory() -> int:
        processes = [server.process, *server.process.children(recursive=True)]
        return sum(process.memory_info().rss for process in processes)

    server.post({"inputs": images.tolist()})
    before = memory()
    for _ in range(5):
        for body, status in bodies.items():
            with suppress(ConnectionError):  # where the server does not read to the end
                assert server.post(body)[0] == status
    assert memory() < before + 200 * 10**6


def test_server_listens_on_loopback_only(server: Server) -> None:
    listening = {
        connection.laddr.ip
        for one in [server.process, *server.process.children(recursive=True)]
        for connection in one.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_port_in_use_is_told_in_one_line(promoted: Clone, server: Server) -> None:
    port = str(server.port)
    result = promoted.run("python", "-m", "pipeline.serve", "--port", port, check=False)
    assert result.returncode == 1
    (line,) = result.stdout.splitlines()
    assert line.startswith(f"--port: 127.0.0.1:{port}: Address already in use")


def test_without_champion_there_is_nothing_to_serve(reproduced: Clone) -> None:
    result = reproduced.run("python", "-m", "pipeline.serve", "--port", "0", check=False)
    assert result.returncode == 1
    (line,) = result.stdout.splitlines()
    name = name_model("mnist")
    assert line.startswith(f"{name} has no champion to serve; `python -m pipeline.promote`")


def test_code_in_the_store_is_not_run_and_another_model_is_not_served(
    promoted: Clone, tmp_path: Path
) -> None:
    clone = promoted.copy_to(tmp_path / "repository")
    for path in (".venv", "mlartifacts"):  # whose addresses in the store are those of `promoted`
        if (clone.path / path).is_symlink():
            (clone.path / path).unlink()
    database = clone.path / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        old, new = str(promoted.path), str(clone.path)
        moved = "UPDATE logged_models SET artifact_location = REPLACE(artifact_location, ?, ?)"
        assert connection.execute(moved, (old, new)).rowcount
    (code,) = (clone.path / "mlartifacts").rglob("image_classifier.py")
    code.write_text("import os; os._exit(3)\n")
    serving = clone.popen("python", "-m", "pipeline.serve", "--port", "0")
    try:
        assert serving.stdout
        assert "answers at" in serving.stdout.readline()
    finally:
        serving.terminate()
        serving.communicate(timeout=60)

    (model,) = (clone.path / "mlartifacts").rglob("model.keras")
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    refused = clone.run("python", "-m", "pipeline.serve", "--port", "0", check=False)
    assert refused.returncode == 1
    (line,) = refused.stdout.splitlines()
    assert "is not used: the model in MLflow is not the one in dvc.lock of its commit" in line


@pytest.fixture
def champion(promoted: Clone, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of the champion."""
    monkeypatch.chdir(promoted.path)
    mlflow.set_tracking_uri(f"sqlite:///{promoted.path}/mlflow.db")
    return f"models:/{name_model('mnist')}@champion"


def test_champion_is_the_file_that_dvc_holds(promoted: Clone, champion: str) -> None:
    outs = YAML(typ="safe").load(promoted.path / "dvc.lock")["stages"]["train"]["outs"]
    (held,) = (out["md5"] for out in outs if out["path"] == "models/model.keras")
    folder = Path(mlflow.artifacts.download_artifacts(champion))
    cached = promoted.path / ".dvc/cache/files/md5" / held[:2] / held[2:]
    assert (folder / "data/model.keras").read_bytes() == cached.read_bytes()


def test_champion_predicts_the_bits_of_dvcs_file(
    promoted: Clone, champion: str, images: Images, predictions: pd.DataFrame
) -> None:
    from pipeline.model.runtime import EVALUATION_BATCH_SIZE, keras

    ours = keras.saving.load_model(promoted.path / "models/model.keras", compile=False)
    expected = ours.predict(images, batch_size=EVALUATION_BATCH_SIZE, verbose=0)
    loaded = mlflow.keras.load_model(champion)
    found = loaded.predict(images, batch_size=EVALUATION_BATCH_SIZE, verbose=0)
    np.testing.assert_array_equal(found, expected)
    assert_as_evaluated(found, predictions)


def test_pyfunc_brings_its_code_and_takes_unsigned_bytes(
    promoted: Clone, champion: str, images: Images, predictions: pd.DataFrame
) -> None:
    sys.modules.pop("image_classifier", None)
    model = mlflow.pyfunc.load_model(champion)
    code = Path(str(sys.modules["image_classifier"].__file__))
    assert code.is_relative_to(promoted.path / "mlartifacts")
    assert "import pipeline" not in code.read_text()
    assert f"from {PACKAGE}" not in code.read_text()
    assert_as_evaluated(model.predict(images), predictions)
    with pytest.raises(MlflowException, match="does not match expected dtype uint8"):
        model.predict(images / 255)


@pytest.mark.parametrize("divisor", [255, 256])
def test_pictures_scaled_and_then_cut_to_bytes_are_refused(
    champion: str, images: Images, divisor: int
) -> None:
    """So `mlflow models serve`, which follows the signature, cannot mistake them either."""
    model = mlflow.pyfunc.load_model(champion)
    body = {"inputs": (images[:1] / divisor).tolist()}
    parsed = scoring_server.infer_and_parse_data(body, model.metadata.get_input_schema())
    assert parsed.dtype == np.uint8
    with pytest.raises(MlflowException, match=r"scaled to 0\.\.1") as refused:
        model.predict(parsed)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
