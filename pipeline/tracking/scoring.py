"""MLflow's scoring server, for one model, and the port that a server of this machine takes."""

import gc
import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np
import uvicorn

from pipeline.core.errors import PipelineError

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

Message = MutableMapping[str, Any]  # of ASGI, as are the next three
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

HOST = "127.0.0.1"  # only this machine: the servers know no passwords


class ScoringServer:
    """A model that has been loaded, behind MLflow's scoring server."""

    def __init__(self, uri: str) -> None:
        """Load the model, such as `models:/mnist@champion`."""
        from mlflow import pyfunc
        from mlflow.pyfunc import scoring_server

        model = pyfunc.load_model(uri)
        # Else MLflow would fit what comes to the signature, in silence, before the model checks it.
        model.metadata.signature = None
        np.set_printoptions(threshold=1, edgeitems=1)  # MLflow's messages quote what was sent
        self._app: App = scoring_server.init(model)
        if classes := (model.metadata.metadata or {}).get("classes"):  # else of another origin
            self._app = name_classes(self._app, classes)
        # Parsing makes a list of each pixel and so triggers many collections, each of which
        # would go through all of TensorFlow: four fifths of the time for 100 images.
        gc.collect()
        gc.freeze()

    def run(self, listener: socket.socket) -> None:
        """Answer requests until the process is told to end."""
        uvicorn.Server(uvicorn.Config(self._app, log_level="warning")).run(sockets=[listener])


def name_classes(app: App, classes: Sequence[str]) -> App:
    """Return an app whose answers have the names of the classes beside the predictions.

    The answer is not parsed: it may hold thousands of numbers.

    Args:
        app: MLflow's scoring server.
        classes: in the order of the probabilities.
    """
    names = f', "classes": {json.dumps(list(classes))}}}'.encode()

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        start: Message = {}

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body = message.get("body", b"")
            if start and start["status"] == HTTPStatus.OK and body.startswith(b'{"predictions"'):
                body = body.rstrip().removesuffix(b"}") + names
                length = [(b"content-length", str(len(body)).encode())]
                kept = [pair for pair in start["headers"] if pair[0] != b"content-length"]
                start["headers"] = kept + length
            if start:
                await send(dict(start))
                start.clear()
            await send({**message, "body": body})

        await app(scope, receive, add if scope["type"] == "http" else send)

    return answer


def require_answer(version: "ModelVersion") -> None:
    """Check that a version predicts its own input example, as it will when it is served.

    Raises:
        PipelineError: it has none, or gives no probabilities for it.
    """
    from mlflow import pyfunc

    from pipeline.model import runtime  # noqa: F401, or TensorFlow's import fills the screen

    title = f"{version.name} version {version.version} is not promoted, "
    try:
        model = pyfunc.load_model(f"models:/{version.name}/{version.version}")
        if model.input_example is None:
            raise PipelineError(f"{title}it has no input example to predict")
        sums = model.predict(model.input_example).sum(axis=-1)
    except PipelineError:
        raise
    except Exception as error:  # of whatever its code and file hold
        message = " ".join(f"{type(error).__name__}: {error}".split())
        raise PipelineError(f"{title}it cannot predict its input example: {message}") from error
    if not np.allclose(sums, 1, atol=1e-3):
        raise PipelineError(f"{title}the probabilities of its input example add up to {sums}")


def bind(port: int) -> socket.socket:
    """Return a socket that listens at the port, so that a port in use is told at once.

    Raises:
        PipelineError: it cannot be used.
    """
    # Only of sockets that name TCP does asyncio see that small answers go out at once: else 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or "there is no such port"
        raise PipelineError(f"--port: {HOST}:{port}: {reason}; name another one") from error
    return listener
