"""Where the store is, whatever the variable or the folder is called."""

import socket
import sqlite3
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import PipelineError
from pipeline.tracking import store, view
from pipeline.tracking.database import is_to_be_made, uri_of
from pipeline.tracking.store_errors import plain_errors


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "sqlite:///{root}/mlflow.db"),
        ("sqlite:///runs.db", "sqlite:///{root}/runs.db"),
        ("sqlite:///stores/runs.db", "sqlite:///{root}/stores/runs.db"),
        ("sqlite:////elsewhere/runs.db", "sqlite:////elsewhere/runs.db"),
        (
            "sqlite:///file:/a/runs.db?mode=ro&uri=true",
            "sqlite:///file:/a/runs.db?mode=ro&uri=true",
        ),
        ("mlruns", "file://{root}/mlruns"),
        ("./mlruns", "file://{root}/mlruns"),
        ("file:mlruns", "file://{root}/mlruns"),
        ("file:///elsewhere/mlruns", "file:///elsewhere/mlruns"),
        ("/elsewhere/mlruns", "/elsewhere/mlruns"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("postgresql://me@127.0.0.1/runs", "postgresql://me@127.0.0.1/runs"),
        ("databricks", "databricks"),
    ],
)
def test_relative_stores_are_at_the_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, expected: str
) -> None:
    monkeypatch.setattr(store, "ROOT", tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    assert store.tracking_uri() == expected.format(root=tmp_path)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://me:secret@127.0.0.1:5432/runs", "postgresql://127.0.0.1:5432/runs"),
        ("http://me:secret@127.0.0.1:5000/a@b", "http://127.0.0.1:5000/a@b"),
        ("sqlite:////a@b/runs.db", "sqlite:////a@b/runs.db"),
    ],
)
def test_address_is_shown_without_a_password(
    monkeypatch: pytest.MonkeyPatch, given: str, shown: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    assert store.shown_uri() == shown
    for message in (f"{given}/api: timed out", "Detected out-of-date database schema"):
        with pytest.raises(PipelineError) as caught, plain_errors():
            raise OSError(message)
        assert "secret" not in str(caught.value)


def test_folder_that_may_not_be_looked_into_is_no_folder_without_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert is_to_be_made(tmp_path / "file")
    assert is_to_be_made(tmp_path / "other" / "mlflow.db")
    with pytest.raises(PipelineError, match=r"mlflow\.db: cannot be read: Not a directory"):
        is_to_be_made(tmp_path / "file/mlflow.db")


@pytest.mark.parametrize("name", ["plain", "with space", "what?", "C# tries", "100 %25", "Übung"])
def test_database_is_in_its_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    from sqlalchemy import create_engine, text

    path = tmp_path / name / "runs.db"
    path.parent.mkdir()
    with create_engine(uri_of(path)).begin() as connection:
        connection.execute(text("CREATE TABLE runs (id INTEGER)"))
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("runs",)]
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_port_in_use_is_told_before_the_ui_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["view", "--port", str(port)])
        with pytest.raises(PipelineError, match=rf"127\.0\.0\.1:{port}: Address already in use"):
            view.main()


def test_ui_of_a_server_is_the_servers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://127.0.0.1:1")
    monkeypatch.setattr(sys, "argv", ["view"])
    with pytest.raises(PipelineError, match="is a server"):
        view.main()
