"""Where the report says that MLflow has a run."""

import pytest

from pipeline.tracking import lookup


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:///mlflow.db", "abc"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000/#/experiments/1/runs/abc"),
        ("https://me:secret@host/mlflow/", "https://host/mlflow/#/experiments/1/runs/abc"),
    ],
)
def test_run_on_a_server_has_an_address_without_a_password(
    monkeypatch: pytest.MonkeyPatch, uri: str, expected: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert lookup.place_of("abc", "1") == expected
