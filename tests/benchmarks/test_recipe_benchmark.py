"""What the benchmark of the recipe makes of what was measured."""

import math

import pytest

from benchmarks.recipe import compare, seconds_to_reach

EPOCHS = [(2.5, 0.9), (3.0, 0.96), (3.5, 0.95), (4.0, 0.99)]


@pytest.mark.parametrize(
    ("accuracy", "seconds"), [(0.5, 2.5), (0.96, 3.0), (0.97, 4.0), (0.995, math.inf)]
)
def test_time_to_reach_an_accuracy_is_that_of_the_first_epoch_to_do_so(
    accuracy: float, seconds: float
) -> None:
    assert seconds_to_reach(accuracy, EPOCHS) == seconds


def test_pair_is_compared_with_what_the_plain_script_took_and_reached() -> None:
    plain = {"fit_seconds": 20.0, "accuracy": 0.955}
    recipe = {"fit_seconds": 16.0, "accuracy": 0.99, "epochs": EPOCHS}
    assert compare(plain, recipe) == pytest.approx([20, 16, 0.8, 0.955, 0.99, 0.15])
