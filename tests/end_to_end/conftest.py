"""Marks all tests of this folder, so that a run can leave them out, or run nothing else."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them `end_to_end`."""
    for item in items:  # of all folders: pytest asks every conftest about all tests
        if Path(__file__).parent in item.path.parents:
            item.add_marker("end_to_end")
