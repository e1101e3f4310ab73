"""What `make repro` says of the new state beside HEAD's."""

import json

import pytest

from pipeline.repro import compare

OLD = {"accuracy": 0.9624, "errors": 1376}
NEW = {"accuracy": 0.9699, "errors": 301}


def test_same_bytes_are_said_to_be_so() -> None:
    made = {"models/model.keras": "1", "metrics/errors.csv": "2"}
    line = compare(made, {**made}, json.dumps(OLD), OLD)
    assert line == "HEAD: same bytes as committed, in all 2 outputs."


def test_accuracy_and_errors_are_compared() -> None:
    line = compare({"model": "1"}, {"model": "2"}, json.dumps(OLD), NEW)
    assert line == "HEAD: test accuracy 0.9624 → 0.9699 (+0.75 points), errors 1,376 → 301."


@pytest.mark.parametrize("committed", ["", "[]", "{}", "<<<<<<< HEAD"])
def test_commit_without_metrics_is_no_fault(committed: str) -> None:
    assert compare({}, {"model": "2"}, committed, NEW) == "HEAD: it has no test metrics."
