"""Which run of a training that was cut off may be completed with a state."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.tracking.content import has_epochs_of

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
