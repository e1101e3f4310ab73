"""Which files are results, by the `dvc.yaml` that lies beside them."""

from pathlib import Path

import pytest

from pipeline.core.errors import DataError
from pipeline.provenance.results import flatten_numbers, list_results

DECLARED = """
stages:
  evaluate:
    cmd: python -m pipeline.evaluate
    outs: [metrics/predictions.csv, {data/other.json: {cache: false}}]
    metrics:
      - metrics/evaluation.json: {cache: false}
    plots:
      - metrics/errors.csv: {cache: false, x: predicted}
  plot:
    cmd: python -m pipeline.plot
    plots:
      - metrics/figures: {cache: false}
      - metrics/network
metrics: [metrics/seeds.json]
"""


def test_results_are_what_stages_write_into_metrics_for_git(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(DECLARED)

    assert list_results(tmp_path) == [Path("metrics/errors.csv"), Path("metrics/evaluation.json")]


@pytest.mark.parametrize(
    "text", [None, "", "stages: [a]\n", "stages: {a: {cmd: b}}\n", "<<<<<<<\n"]
)
def test_declarations_without_results_are_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "dvc.yaml").write_text(text)

    with pytest.raises(DataError, match=r"dvc\.yaml declares no file of metrics"):
        list_results(tmp_path)


def test_numbers_are_found_at_any_depth() -> None:
    values = {"accuracy": 0.5, "recall": {"a": 1, "b": None}, "deep": {"x": {"y": 2}}, "list": [3]}

    found = flatten_numbers(values, lambda names: [name.upper() for name in names])

    assert found == {"ACCURACY": 0.5, "RECALL.A": 1, "RECALL.B": None, "DEEP.X.Y": 2}
    assert flatten_numbers([1, 2]) == {}
