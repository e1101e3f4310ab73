"""Answer requests with a model: raw pixels in, probabilities out, as MLflow's scoring server does.

That server runs the code that lies beside a model in the store, and takes whatever comes. This one
runs the repository's own, and bounds what a visitor can ask of it.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import NamedTuple

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
from pipeline.serving.body import CLOSE, read_images
from pipeline.serving.listener import LOOPBACK

CONNECTIONS = 32  # at a time; more get a 503
MESSAGE_LENGTH = 300  # characters of a refusal: what was sent is not sent back


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


def build_app(classifier: Classifier, hosts: Sequence[str], limits: Limits) -> Starlette:
    """Return an ASGI app with `/invocations`, `/ping`, `/health` and `/version`.

    Args:
        classifier: that answers.
        hosts: that requests may name besides this machine: otherwise a page elsewhere could make
            the browser ask this server under a name of its own.
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
    images = await read_images(request, classifier.check, limits.megabytes)
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
