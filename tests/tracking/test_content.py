"""What a run holds, and which run of an interrupted training may be completed with a state."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.tracking.content import has_epochs_of, read_results

HISTORY = """epoch,loss,accuracy,val_loss,val_accuracy
1,0.900000,0.700000,0.800000,0.750000
2,0.500000,0.800000,0.400000,0.850000
"""


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        ({}, True),
        ({1: 0.8}, True),
        ({1: 0.8, 2: 0.4}, True),
        ({1: 0.800001}, False),
        ({1: 0.8, 2: 0.4, 3: 0.3}, False),
    ],
)
def test_run_with_other_epochs_is_of_another_state(
    tmp_path: Path, logged: dict[int, float], expected: bool
) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/history.csv").write_text(HISTORY)
    points = [SimpleNamespace(step=step, value=value) for step, value in logged.items()]
    client: Any = SimpleNamespace(get_metric_history=lambda _run, _name: points)
    run: Any = SimpleNamespace(info=SimpleNamespace(run_id="run"))
    snapshot: Any = SimpleNamespace(folder=tmp_path)
    assert has_epochs_of(client, run, snapshot) is expected


def test_numbers_of_every_result_are_metrics_but_those_of_the_data(tmp_path: Path) -> None:
    results = {
        "evaluation.json": {"accuracy": 0.5, "recall": {"50 %": 1.0, "b": None}},
        "robustness.json": {"accuracy": 0.25},
        "dataset.json": {"test_images_also_in": {"train": 0}},
        "errors.csv": {},
    }
    (tmp_path / "metrics").mkdir()
    for name, values in results.items():
        (tmp_path / "metrics" / name).write_text(json.dumps(values) + "\n")
    paths = [Path("metrics", name) for name in results]
    snapshot: Any = SimpleNamespace(folder=tmp_path, results=paths)

    assert read_results(snapshot) == {
        "test_accuracy": 0.5,
        "test_recall.50 _": 1.0,
        "robustness_accuracy": 0.25,
    }
