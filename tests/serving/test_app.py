"""The server of a model: what it answers, and what a visitor cannot do to it."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any

import numpy as np
import pytest
import uvicorn

from pipeline.core.arrays import ByteArray, FloatArray
from pipeline.serving.app import Classifier, Limits, build_app
from pipeline.serving.listener import bind
from tests.processes import wait_until

CLASSES = ['"dark"', "é"]
LIMITS = Limits(megabytes=0.1, images=5, seconds=2.0)
JSON = {"Content-Type": "application/json"}


class Brightness:
    """Says how bright images of 2x2 are; two at a time, one second for the brightest."""

    def __init__(self) -> None:
        self.asked = 0

    def check(self, images: object) -> ByteArray:
        """Refuse what is no such image."""
        if not isinstance(images, np.ndarray) or images.shape[1:] != (2, 2, 1):
            raise ValueError(f"expected (images, 2, 2, 1), got {images}")
        return images.astype(np.uint8)

    def predict(self, images: ByteArray) -> FloatArray:
        """Return the probabilities of dark and bright."""
        self.asked += 1
        if images.max(initial=0) == 255:
            time.sleep(1)
        bright = images.mean(axis=(1, 2, 3), dtype=np.float32) / 256
        return np.stack([1 - bright, bright], axis=1)


class Server:
    """A server that runs in a thread."""

    def __init__(self, model: Brightness, port: int) -> None:
        self.model, self.port = model, port

    def ask(
        self,
        body: object = None,
        headers: dict[str, str] = JSON,
        method: str = "POST",
        path: str = "/invocations",
    ) -> tuple[int, Any]:
        """Send bytes, or anything else as JSON; return status and answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text.startswith(b"{") else text

    @contextmanager
    def sending(self, body: bytes, length: int) -> Iterator[socket.socket]:
        """Send the head of a request, and what may be a part of its body."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            head = f"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n"
            connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
            yield connection


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    model = Brightness()
    app = build_app(Classifier(model.check, model.predict, CLASSES, 2), ["digits.test"], LIMITS)
    with bind(0) as listener:
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        yield Server(model, listener.getsockname()[1])
        running.should_exit = True
        thread.join(30)


def images(*values: int) -> list[Any]:
    return [[[[value], [value]]] * 2 for value in values]


@pytest.mark.parametrize("key", ["inputs", "instances"])
def test_answers_have_probabilities_and_the_names_of_the_classes(server: Server, key: str) -> None:
    status, answer = server.ask({key: images(0, 64, 128)})

    assert status == 200
    assert answer == {"predictions": [[1, 0], [0.75, 0.25], [0.5, 0.5]], "classes": CLASSES}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "the body is not valid JSON"),
        (b"\xff\xfe", "the body is not valid JSON"),
        (b'{"inputs": ' + b"[" * 50_000, "the body is nested too deeply"),
        (b'{"inputs": [' + b"9" * 5000 + b"]}", "Exceeds the limit (4300 digits)"),
        (b'{"inputs": [[[[' + b"9" * 400 + b"]]]]}", "expected (images, 2, 2, 1)"),
        ([], "expected a JSON dictionary with one of inputs and instances"),
        ({"inputs": [], "instances": []}, "expected a JSON dictionary with one of"),
        ({"images": []}, "expected a JSON dictionary with one of"),
        ({"inputs": [[[[1], [2]], [[3], [True]]]]}, "pixels must be numbers, got true and false"),
        ({"inputs": [[[[1], [2]], [[3]]]]}, "the images, or their rows, differ in size"),
        ({"inputs": "x" * 50_000}, "expected (images, 2, 2, 1), got xxx"),
    ],
)
def test_what_is_no_image_is_refused_in_a_short_line(
    server: Server, body: object, message: str
) -> None:
    status, answer = server.ask(body)

    assert status == 400
    assert answer["error_code"] == "BAD_REQUEST"
    assert message in answer["message"]
    assert len(answer["message"]) <= 300


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 400),
        ({"Content-Type": "text/csv"}, 415),
        ({"Content-Type": "application/json; charset=latin-1"}, 415),
        ({"Content-Type": "application/json; charset=UTF-8"}, 200),
    ],
)
def test_only_json_is_taken(server: Server, headers: dict[str, str], expected: int) -> None:
    assert server.ask({"inputs": images(1)}, headers)[0] == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost:1", 200), ("127.0.0.1", 200), ("digits.test", 200), ("rebound.test", 400)],
)
def test_only_its_own_names_are_answered(server: Server, host: str, expected: int) -> None:
    assert server.ask({"inputs": images(1)}, JSON | {"Host": host})[0] == expected


def test_nothing_else_is_there(server: Server) -> None:
    for path in ("/ping", "/health"):
        assert server.ask(method="GET", path=path) == (200, b"\n")
    assert server.ask(method="GET", path="/version")[0] == 200
    for path in ("/", "/docs", "/openapi.json", "/redoc", "/invocations/"):
        assert server.ask(method="GET", path=path)[0] in (307, 404)
    assert server.ask(method="GET")[0] == 405


def test_more_images_than_allowed_are_refused(server: Server) -> None:
    assert server.ask({"inputs": images(*range(5))})[0] == 200
    status, answer = server.ask({"inputs": images(*range(6))})
    assert status == 413
    assert answer["message"] == "has 6 images; send at most 5 at a time"


def test_body_that_says_it_is_too_large_is_refused_unread(server: Server) -> None:
    with server.sending(b"", 10**9) as connection:
        answer = connection.recv(10_000)
        assert b" 413 " in answer.splitlines()[0]
        assert b"the body is larger than 0.1 MB" in answer
        assert connection.recv(10_000) == b""  # closed: nobody waits for the rest


def test_body_of_unknown_size_is_refused_where_it_gets_too_large(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        connection.sendall(head + b"Content-Type: application/json\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 2**16 + b"\r\n"
        connection.sendall(chunk * 2)
        assert b" 413 " in connection.recv(10_000).splitlines()[0]


def test_body_that_never_ends_is_left(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    with server.sending(b'{"inputs"', 100) as connection:
        answer = connection.recv(10_000)
        assert b" 503 " in answer.splitlines()[0]
        assert b"took longer than 2 s" in answer
    with server.sending(b'{"inputs"', 100):
        pass  # and gone
    assert server.ask({"inputs": images(1)})[0] == 200
    assert capfd.readouterr().err == ""


def test_work_ends_when_it_takes_too_long_or_the_client_has_left(server: Server) -> None:
    before = server.model.asked
    status, answer = server.ask({"inputs": images(255, 255, 255, 255, 255)})
    assert status == 503
    assert "took longer than 2 s" in answer["message"]
    assert server.model.asked - before <= 2  # of three

    before = server.model.asked
    body = json.dumps({"inputs": images(255, 255, 255, 255, 255)}).encode()
    with server.sending(body, len(body)):
        wait_until(lambda: server.model.asked > before)
    time.sleep(1.5)  # in which the second batch would begin
    assert server.model.asked - before == 1
