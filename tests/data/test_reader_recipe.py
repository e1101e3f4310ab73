"""The reader of CSV files that CONTRIBUTING.md has as an example works as it stands there."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.errors import DataError
from pipeline.data import dataset
from tests.documented import recipe

ROWS = """split,label,p0,p1,p2,p3
train,1,0,1,2,3
test,0,4,5,6,7
train,0,8,9,10,255
test,1,12,13,14,15
"""


@pytest.fixture(autouse=True)
def readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the reader the only one: somebody may have entered it as it stands there."""
    names: dict[str, Any] = {"Reader": dataset.Reader}
    exec(recipe('"""Read images'), names)  # noqa: S102
    entry = eval(recipe("Reader(").rstrip(",\n"), names)  # noqa: S307
    monkeypatch.setattr(dataset, "READERS", (entry,))


def test_both_splits_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ROWS)

    found = dataset.read_dataset(tmp_path, None)

    assert found.classes == ["0", "1"]
    images, labels = found.train.read(0, 2)
    expected = np.array([[0, 1, 2, 3], [8, 9, 10, 255]], np.uint8).reshape(2, 2, 2, 1)
    np.testing.assert_array_equal(images, expected, strict=True)
    np.testing.assert_array_equal(labels, np.array([1, 0], np.uint8), strict=True)
    assert found.test.read(1, 2).images.ravel().tolist() == [12, 13, 14, 15]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS.replace("test", "val"), "a.csv: test: has no labels"),
        (ROWS.replace("label", "class"), "a.csv: cannot be read: 'label'"),
        (ROWS.replace("3\ntest", "256\ntest"), "a.csv: cannot be read: "),
        (ROWS.replace(",p3", ""), "a.csv: cannot be read: "),
        (re.sub(",[^,]*$", "", ROWS, flags=re.MULTILINE), "a.csv: train: 3 pixels are no square"),
        (ROWS.replace("train,1", "train,70000"), "a.csv: train: has the label 70000, expected 0 "),
        (ROWS.replace("test,1", "test,2"), "a.csv: test: has the label 2, but the highest of "),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(rows)

    with pytest.raises(DataError) as caught:
        dataset.read_dataset(tmp_path, None)

    assert str(caught.value).startswith(f"{tmp_path}/{message}")
