"""The body of a request: raw pixels as JSON, as MLflow's scoring server takes them."""

import json
from collections.abc import Callable
from http import HTTPStatus

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request

from pipeline.core.arrays import ByteArray

KEYS = ("inputs", "instances")
CLOSE = {"Connection": "close"}  # as the rest of what is being sent will not be read


async def read_images(
    request: Request, check: Callable[[object], ByteArray], megabytes: float
) -> ByteArray:
    """Return the images of a request whose body is such as `{"inputs": [...]}`.

    Args:
        request: of which no more is read than is allowed.
        check: returns what was sent as images, or raises a `ValueError` that says what is wrong.
        megabytes: that the body may have.

    Raises:
        HTTPException: it has no images, or others than `check` takes, or too much.
    """
    _require_json(request.headers.get("content-type"))
    return await run_in_threadpool(_parse, await _read(request, megabytes), check)


def _require_json(content_type: str | None) -> None:
    if not content_type:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "send Content-Type: application/json")
    kind, _, parameters = content_type.lower().replace(" ", "").partition(";")
    if kind != "application/json" or parameters not in ("", "charset=utf-8"):
        text = "only application/json in UTF-8 is understood"
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)


async def _read(request: Request, megabytes: float) -> bytes:
    limit, body = int(megabytes * 2**20), bytearray()
    text = f"the body is larger than {megabytes:g} MB; send fewer images at a time"
    too_large = HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text, CLOSE)
    if int(request.headers.get("content-length", 0)) > limit:
        raise too_large
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise too_large
    return bytes(body)


def _parse(body: bytes, check: Callable[[object], ByteArray]) -> ByteArray:
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
