"""The SQLite database of MLflow: made whole or not at all, and found again after a move."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock

from pipeline.core.errors import PipelineError

ARTIFACTS_TAG = "artifacts"  # of experiments whose artifacts are in the repository
# Where the database keeps absolute locations of artifacts.
LOCATIONS = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}


def uri_of(path: Path) -> str:
    """Return the address of an SQLite database.

    In an address, options follow a ?, and a % is the first of a quoted character. With a quoted
    path after `sqlite://`, MLflow would make a folder of that name.
    """
    if {"?", "%"} & {*str(path)}:
        return f"sqlite+pysqlite:///{quote(str(path))}"
    return f"sqlite:///{path}"


def is_to_be_made(path: Path) -> bool:
    """Tell whether there is no database, or an empty file where it would be.

    Raises:
        PipelineError: its folder may not be looked into.
    """
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return True
    except OSError as error:
        raise PipelineError(f"MLflow: {path}: cannot be read: {error.strerror}") from error


def create_database(path: Path, artifacts: Path, lock: Path) -> None:
    """Create the database, so that a file in place is complete.

    Two first uses at once would break MLflow's migration.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if is_to_be_made(path):
            _create(path, artifacts)


def _create(path: Path, artifacts: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    partial = path.with_name(f".partial-{path.name}")
    partial.unlink(missing_ok=True)
    store = SqlAlchemyStore(uri_of(partial), artifacts.as_uri())  # type: ignore[no-untyped-call]
    store.engine.dispose()
    partial.replace(path)


def follow_artifacts(path: Path, artifacts: Path) -> None:
    """Replace the former folder of our artifacts, if the repository was moved or copied."""
    uri = artifacts.as_uri()
    with closing(sqlite3.connect(path)) as db, db:
        former = db.execute(
            "SELECT DISTINCT artifact_location FROM experiments JOIN experiment_tags "
            "USING (experiment_id) WHERE key = ? AND artifact_location <> ?",
            (ARTIFACTS_TAG, uri),
        ).fetchall()
        for (location,) in former:
            for table, column in LOCATIONS.items():
                db.execute(
                    f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) "  # noqa: S608
                    f"WHERE substr({column} || '/', 1, length(:old) + 1) = :old || '/'",
                    {"old": location, "new": uri},
                )
