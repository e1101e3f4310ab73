"""What these tests share: clones in which the network is trained."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Clone, make_clone, make_once
from tests.end_to_end.conftest import reproduce


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone after `dvc repro` with small counts, committed; all workers share it: read only."""

    def build(path: Path) -> None:
        reproduce(make_clone(path, with_tensorflow=True))

    return make_once(tmp_path_factory, "trained", build)


@pytest.fixture
def new_clone(tmp_path: Path) -> Callable[[], Clone]:
    """Make a clone in which nothing has been run yet."""
    return lambda: make_clone(tmp_path / "repository", with_tensorflow=True)
