"""What the server adds to MLflow's answers."""

from typing import Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from pipeline.tracking.scoring import name_classes

PREDICTIONS = {"predictions": [[0.25, 0.75]]}


def predict(_request: Any) -> Response:  # noqa: ANN401
    return JSONResponse(PREDICTIONS)


def refuse(_request: Any) -> Response:  # noqa: ANN401
    return JSONResponse({"error_code": "BAD_REQUEST"}, 400)


def test_answers_name_the_classes_and_refusals_stay() -> None:
    app = Starlette(routes=[Route("/invocations", predict), Route("/refused", refuse)])
    client = TestClient(name_classes(app, ['"quoted"', "é"]))
    answer = client.get("/invocations")
    assert answer.json() == PREDICTIONS | {"classes": ['"quoted"', "é"]}
    assert int(answer.headers["content-length"]) == len(answer.content)
    refused = client.get("/refused")
    assert (refused.status_code, refused.json()) == (400, {"error_code": "BAD_REQUEST"})
