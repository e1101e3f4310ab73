"""What a store raises, said in one plain line with what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.core.errors import PipelineError
from pipeline.core.package import command
from pipeline.tracking.store import database, shown_uri, tracking_uri

MESSAGE_LENGTH = 1000
OTHER_VERSION = "out-of-date database schema"
DAMAGED = ("file is not a database", "database disk image is malformed")  # as SQLite says it


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn whatever a store raises into one plain line.

    Raises:
        PipelineError: anything was raised.
    """
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:  # MLflow's, the database's, the network's
        message = " ".join(f"{type(error).__name__}: {error}".split()).partition(" [SQL: ")[0]
        message = message.replace(tracking_uri(), shown_uri())
        if OTHER_VERSION in message:
            raise PipelineError(_other_version()) from error
        if (path := database()) and any(text in message for text in DAMAGED):
            raise PipelineError(
                f"MLflow: {path} is damaged: move it away, and "
                f"`{command('publish', '--all-commits')}` makes another from Git and DVC"
            ) from error
        if len(message) > MESSAGE_LENGTH:  # it begins with what was asked, and ends with the cause
            half = MESSAGE_LENGTH // 2
            message = f"{message[:half]} ... {message[-half:]}"
        raise PipelineError(f"MLflow: {message}") from error


def _other_version() -> str:
    """Say what to do about a database whose tables are not those of the installed MLflow."""
    path = database()
    backup = f"`cp {path} {path}.bak`" if path else "a backup"
    uri = tracking_uri() if path else '"$MLFLOW_TRACKING_URI"'  # with its password
    return (
        f"MLflow: the tables of {path or 'the database'} are those of another version of MLflow: "
        f"after {backup}, `mlflow db upgrade {uri}` brings them up to date; where a "
        "later version has made them, install that one"
    )
