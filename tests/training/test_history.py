"""When training is over, and which of its epochs was the best."""

import numpy as np
import pytest

from pipeline.training import history


def of(epochs: int, *val_losses: float) -> history.History:
    rows = history.begin(epochs)
    for row, val_loss in zip(rows, val_losses, strict=False):
        row[:] = (1.0, 0.5, val_loss, 0.25)
    return rows


def test_only_epochs_that_are_over_are_measured() -> None:
    assert history.measured(of(3)) == []
    assert history.measured(of(3, 0.7)) == [
        {"loss": 1.0, "accuracy": 0.5, "val_loss": 0.7, "val_accuracy": 0.25}
    ]


def test_the_first_of_equal_epochs_is_the_best() -> None:
    assert history.best_epoch(of(9, 0.5, 0.25, 0.25, 0.5)) == 2


@pytest.mark.parametrize(
    ("val_losses", "patience", "over"),
    [
        ((), 1, False),
        ((3.0, 2.0, 1.0), None, False),
        ((3.0, 2.0, 1.0, 0.5), None, True),
        ((1.0, 2.0, 3.0), None, False),
        ((1.0, 2.0), 2, False),
        ((1.0, 2.0, 3.0), 2, True),
        ((1.0, 1.0), 1, True),  # not lower
        ((2.0, 1.0), 1, False),
    ],
)
def test_training_is_over(
    val_losses: tuple[float, ...], patience: int | None, *, over: bool
) -> None:
    rows = of(4, *val_losses)
    assert history.is_over(rows, patience) is over
    assert np.isnan(history.begin(4)).all()
