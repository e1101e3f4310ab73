"""The benchmark of the recipe: what its table says, and that all of it works on few images."""

import math
import subprocess
import sys

import pytest

from benchmarks.recipe import compare, seconds_to_reach
from tests.conftest import ROOT

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


def test_table_has_a_line_for_each_pair() -> None:
    command = [sys.executable, "-m", "benchmarks.recipe", "--small", "--pairs", "1"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in run.stdout.splitlines()]
    header, _, pair, average, _, *targets = lines
    assert header[:4] == ["seed", "plain, s", "recipe, s", "recipe to plain"]
    assert pair[0] == "0"
    assert average == ["mean", *pair[1:]]
    assert float(pair[4]) > 0.3  # even of so few images
    assert [target[0] for target in targets[2:]] == [
        "test accuracy",
        "seconds in `fit`, to plain script",
        "seconds until it is as good, to plain script",
    ]
