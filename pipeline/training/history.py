"""What training measures after each epoch: (epochs, 4), float64, NaN for those to come."""

import numpy as np
import numpy.typing as npt

MEASURES = ("loss", "accuracy", "val_loss", "val_accuracy")
History = npt.NDArray[np.float64]


def begin(epochs: int) -> History:
    """Return the history of a training run that has not started."""
    return np.full((epochs, len(MEASURES)), np.nan)


def measured(history: History) -> list[dict[str, float]]:
    """Return the measures of each epoch that is over, the first one first."""
    done = ~np.isnan(history).any(axis=1)
    return [dict(zip(MEASURES, map(float, row), strict=True)) for row in history[done]]


def best_epoch(history: History) -> int:
    """Return the first epoch, from 1, whose validation loss is the lowest; one must be over."""
    return int(np.nanargmin(history[:, MEASURES.index("val_loss")])) + 1


def is_over(history: History, patience: int | None) -> bool:
    """Tell whether no epoch follows: all are over, or `patience` without a lower loss."""
    over = len(measured(history))
    if over in (0, len(history)):
        return over == len(history)
    return patience is not None and over - best_epoch(history) >= patience
