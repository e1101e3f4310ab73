"""What a stage's list of params stands for."""

import pytest

from pipeline.core.declared_params import find_value, names_by_file


def test_names_are_those_of_params_yaml_unless_a_file_is_named() -> None:
    entries: list[str | dict[str, list[str]]] = [
        "model",
        {"versions.yaml": ["keras"]},
        "train.seed",
        {"versions.yaml": ["a.b"]},
    ]

    assert names_by_file(entries) == {
        "params.yaml": ["model", "train.seed"],
        "versions.yaml": ["keras", "a.b"],
    }


def test_file_without_names_is_listed() -> None:
    assert names_by_file([{"versions.yaml": None}]) == {"versions.yaml": []}


@pytest.mark.parametrize(
    ("name", "value"),
    [("a", {"b": {"c": 0}}), ("a.b.c", 0), ("a.b.d", None), ("d", [1]), ("d.e", None)],
)
def test_value_is_found_at_any_depth(name: str, value: object) -> None:
    assert find_value({"a": {"b": {"c": 0}}, "d": [1]}, name) == value
