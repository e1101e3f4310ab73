"""Answer requests with a model: raw pixels in, probabilities out, as MLflow's scoring server does.

That server runs the code that lies beside a model in the store, and takes whatever comes. This one
runs the repository's own, and bounds what a visitor can ask of it.
"""

import asyncio
import gc
import json
import socket
from collections.abc import Callable, Sequence
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.core.arrays import ByteArray, FloatArray
from pipeline.core.errors import PipelineError
from pipeline.tracking import registry

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

HOST = "127.0.0.1"  # only this machine: the servers know no passwords
LOOPBACK = ("127.0.0.1", "localhost")
KEYS = ("inputs", "instances")
CONNECTIONS = 32  # at a time; more get a 503
MESSAGE_LENGTH = 300  # characters of a refusal: what was sent is not sent back
CLOSE = {"Connection": "close"}  # as the rest of what is being sent will not be read


class Limits(NamedTuple):
    """What one request may ask for.

    Attributes:
        megabytes: of its body.
        images: in it.
        seconds: from its first byte to its answer.
    """

    megabytes: float = 4.0
    images: int = 1000
    seconds: float = 30.0


class Classifier(NamedTuple):
    """A model as the server needs it.

    Attributes:
        check: returns what was sent as images, or raises a `ValueError` that says what is wrong.
        predict: returns the probability of each class for each image.
        classes: their names, in the order of the probabilities.
        batch_size: images that are predicted at a time.
    """

    check: Callable[[object], ByteArray]
    predict: Callable[[ByteArray], FloatArray]
    classes: Sequence[str]
    batch_size: int


def load_classifier(version: "ModelVersion") -> Classifier:
    """Load a version's model: its weights are the store's, all code is this repository's.

    Raises:
        PipelineError: its file is not the one of its commit, or cannot be loaded.
    """
    from mlflow.exceptions import MlflowException

    from pipeline.model import network
    from pipeline.tracking.image_classifier import BATCH_SIZE, ImageClassifier, check_pixels

    with TemporaryDirectory() as folder:
        model = network.read_model(registry.download_model(version, Path(folder)))
    classes = registry.read_classes(version)
    if len(classes) != model.output_shape[-1]:
        raise PipelineError(
            f"{version.name} version {version.version} knows {model.output_shape[-1]} classes, but "
            f"MLflow has names for {len(classes)}"
        )

    def check(images: object) -> ByteArray:
        try:
            return check_pixels(images, tuple(model.input_shape[1:]))
        except MlflowException as error:
            raise ValueError(error.message) from None

    classifier = Classifier(check, ImageClassifier(model).predict, classes, BATCH_SIZE)
    # Parsing makes a list of each pixel and so triggers many collections, each of which would go
    # through all of TensorFlow: four fifths of the time for 100 images.
    gc.collect()
    gc.freeze()
    return classifier


def require_answer(version: "ModelVersion", images: ByteArray) -> None:
    """Check that a version answers for images, as it will when it is served.

    Raises:
        PipelineError: it cannot be loaded, or gives no probabilities.
    """
    from pipeline.model import runtime  # noqa: F401, or TensorFlow's import fills the screen

    classifier = load_classifier(version)
    sums = classifier.predict(classifier.check(images)).sum(axis=1)
    if not np.allclose(sums, 1, atol=1e-3):
        raise PipelineError(
            f"{version.name} version {version.version} is not promoted: the probabilities that it "
            f"gives for a test image add up to {sums[0]}"
        )


def build_app(classifier: Classifier, hosts: Sequence[str], limits: Limits) -> Starlette:
    """Return an ASGI app with `/invocations`, `/ping`, `/health` and `/version`.

    Args:
        classifier: that answers.
        hosts: that requests may name besides this machine: else a page elsewhere could have the
            browser ask this server under a name of its own.
        limits: of one request.
    """

    async def invocations(request: Request) -> Response:
        try:
            async with asyncio.timeout(limits.seconds):
                return await _answer(request, classifier, limits)
        except TimeoutError:
            text = f"took longer than {limits.seconds:g} s; send fewer images at a time"
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, text, CLOSE) from None
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # which nobody gets

    async def ping(_request: Request) -> Response:
        return Response("\n", media_type="application/json")

    async def tell_version(_request: Request) -> Response:
        return Response(version("mlflow"), media_type="application/json")

    return Starlette(
        routes=[
            Route("/invocations", invocations, methods=["POST"]),
            Route("/ping", ping),
            Route("/health", ping),
            Route("/version", tell_version),
        ],
        middleware=[Middleware(TrustedHostMiddleware, [*LOOPBACK, *hosts], www_redirect=False)],
        exception_handlers={HTTPException: _refuse},
    )


async def _answer(request: Request, classifier: Classifier, limits: Limits) -> Response:
    _require_json(request.headers.get("content-type"))
    body = await _read(request, limits.megabytes)
    images = await run_in_threadpool(_parse, body, classifier.check)
    if len(images) > limits.images:
        text = f"has {len(images)} images; send at most {limits.images} at a time"
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
    found: list[list[float]] = []
    for start in range(0, len(images), classifier.batch_size):
        if await request.is_disconnected():
            raise ClientDisconnect
        batch = images[start : start + classifier.batch_size]
        found += (await run_in_threadpool(classifier.predict, batch)).tolist()
    return JSONResponse({"predictions": found, "classes": [*classifier.classes]})


def _require_json(content_type: str | None) -> None:
    if not content_type:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "send Content-Type: application/json")
    kind, _, parameters = content_type.lower().replace(" ", "").partition(";")
    if kind != "application/json" or parameters not in ("", "charset=utf-8"):
        text = "only application/json in UTF-8 is understood"
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)


async def _read(request: Request, megabytes: float) -> bytes:
    """Return the body, of which no more is read than is allowed."""
    limit = int(megabytes * 2**20)
    body = bytearray()
    too_large = int(request.headers.get("content-length", 0)) > limit
    if not too_large:
        async for part in request.stream():
            body += part
            too_large = len(body) > limit
            if too_large:
                break
    if too_large:
        text = f"the body is larger than {megabytes:g} MB; send fewer images at a time"
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text, CLOSE)
    return bytes(body)


def _parse(body: bytes, check: Callable[[object], ByteArray]) -> ByteArray:
    """Return the images of a body such as `{"inputs": [...]}`."""
    try:
        content = json.loads(body)
        if not isinstance(content, dict) or [*content] not in ([key] for key in KEYS):
            raise ValueError(f"expected a JSON dictionary with one of {' and '.join(KEYS)}")
        (images,) = content.values()
        if b"true" in body or b"false" in body:  # which NumPy takes for 1 and 0 among numbers
            raise ValueError("pixels must be numbers, got true and false")
        return check(np.array(images) if isinstance(images, list) else images)
    except json.JSONDecodeError as error:
        fault = f"the body is not valid JSON: {error.msg} in character {error.pos}"
    except UnicodeDecodeError:
        fault = "the body is not valid JSON: it is not UTF-8"
    except RecursionError:
        fault = "the body is nested too deeply"
    except ValueError as error:
        fault = str(error)
        if "inhomogeneous" in fault:
            fault = "the images, or their rows, differ in size"
    raise HTTPException(HTTPStatus.BAD_REQUEST, fault)


async def _refuse(_request: Request, error: Exception) -> Response:
    """Say what is wrong as MLflow does."""
    assert isinstance(error, HTTPException)  # noqa: S101, for which it is registered
    content = {
        "error_code": HTTPStatus(error.status_code).name,
        "message": error.detail[:MESSAGE_LENGTH],
    }
    return JSONResponse(content, error.status_code, error.headers)


def run(app: Starlette, listener: socket.socket) -> None:
    """Answer requests until the process is told to end."""
    config = uvicorn.Config(
        app, log_level="warning", limit_concurrency=CONNECTIONS, server_header=False
    )
    uvicorn.Server(config).run(sockets=[listener])


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
