"""What the server adds to MLflow's answers."""

import asyncio
import json
from typing import Any

import pytest

from pipeline.tracking.scoring import App, Message, Receive, Send, name_classes

REFUSAL = b'{"error_code": "BAD_REQUEST"}'


def answering(status: int, body: bytes) -> App:
    """Return an app that always answers this."""

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def ask(app: App) -> tuple[int, dict[bytes, bytes], bytes]:
    """Return status, headers and body of an answer."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    async def call() -> None:
        await app({"type": "http", "path": "/invocations"}, receive, send)

    asyncio.run(call())
    start, body = sent
    return start["status"], dict(start["headers"]), body["body"]


def test_answers_name_the_classes() -> None:
    predictions: dict[str, Any] = {"predictions": [[0.25, 0.75]]}
    app = name_classes(answering(200, json.dumps(predictions).encode()), ['"quoted"', "é"])
    status, headers, body = ask(app)
    assert status == 200
    assert json.loads(body) == predictions | {"classes": ['"quoted"', "é"]}
    assert int(headers[b"content-length"]) == len(body)
    assert headers[b"content-type"] == b"application/json"


@pytest.mark.parametrize(("status", "body"), [(400, REFUSAL), (200, b"\n"), (404, b"")])
def test_other_answers_stay(status: int, body: bytes) -> None:
    app = answering(status, body)
    assert ask(name_classes(app, ["a"])) == ask(app)
