"""Who may ask a team's MLflow server for what: `basic_auth.ini` names the function."""

from flask import Response, request
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.server.auth import authenticate_request_basic_auth
from werkzeug.datastructures import Authorization

CREATION = "/mlflow/experiments/create"
ALLOWED = {"name", "tags"}


def authenticate_request() -> Authorization | Response:
    """Check the password, and refuse experiments that say where their artifacts lie.

    MLflow reads and writes whatever files are there: the users of a server could get at all that
    it can, such as its own environment with the password of the database.

    Raises:
        MlflowException: the experiment names a place.
    """
    answer = authenticate_request_basic_auth()
    if isinstance(answer, Authorization) and request.path.endswith(CREATION):
        asked = request.get_json(force=True, silent=True) or {}
        # By what is allowed: of any other name, MLflow knows more spellings than one.
        if not isinstance(asked, dict) or any(asked[name] for name in asked.keys() - ALLOWED):
            raise MlflowException(
                "this server keeps the artifacts of all experiments in one place: create it "
                "without artifact_location",
                PERMISSION_DENIED,
            )
    return answer
