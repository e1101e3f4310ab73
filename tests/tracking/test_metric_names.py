"""Names of classes as names of metrics, which MLflow's own check takes."""

import pytest
from mlflow.utils.validation import _validate_metric_name

from pipeline.tracking.metric_names import name_metrics

ODD = [
    "C++",
    "a//b",
    "a/",
    "/a",
    "a/../b",
    ".",
    "..",
    "50 %",
    "x:y",
    "e\u0301",
    "a\\b",
    "$",
    '"',
    ",",
]


def test_most_names_stay_as_they_are() -> None:
    names = ["0", "T-shirt/top", "Ankle boot", "été", "日本", "v1.0", "snake_case"]

    assert name_metrics(names) == names


def test_mlflow_takes_every_name() -> None:
    for name in name_metrics(ODD):
        _validate_metric_name(f"test_recall.{name}")  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (["C++", "C--"], ["C__", "C--"]),
        (["C++", "C__"], ["C___0", "C__"]),
        (["C+", "C#", "C?"], ["C_", "C__1", "C__2"]),
        (["C+", "C#", "C__1"], ["C_", "C__1_1", "C__1"]),
        (["a/", "a_"], ["a__0", "a_"]),
    ],
)
def test_no_two_classes_get_the_same_name(classes: list[str], names: list[str]) -> None:
    assert name_metrics(classes) == names
    assert len(set(name_metrics(ODD))) == len(ODD)
