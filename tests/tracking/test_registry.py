"""What is asked of the registry: no answer is not the answer no."""

from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from pipeline.core.errors import PipelineError
from pipeline.tracking.models.registry import read_errors


@pytest.mark.parametrize(
    ("error", "raised", "words"),
    [
        (MlflowException("no such run", RESOURCE_DOES_NOT_EXIST), PipelineError, "no run any more"),
        (MlflowException("timed out"), MlflowException, "timed out"),
    ],
)
def test_store_that_does_not_answer_has_not_lost_the_champions_run(
    error: MlflowException, raised: type[Exception], words: str
) -> None:
    def get_run(_run_id: str) -> Any:  # noqa: ANN401
        raise error

    client: Any = SimpleNamespace(get_run=get_run)
    version: Any = SimpleNamespace(version="1", name="mnist", run_id="abc", tags={})
    with pytest.raises(raised, match=words):
        read_errors(client, version, "images", "labels")
