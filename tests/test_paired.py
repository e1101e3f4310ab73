"""The paired test, against published results and cases worked by hand."""

import pandas as pd
import pytest

from pipeline.review.paired import compare


def errors(*images: int) -> pd.DataFrame:
    return pd.DataFrame({"image": images, "label": 7, "predicted": 1, "probability": 0.5})


def errors_that_differ(fixed: int, broken: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the errors of an old and of a new model that share three images."""
    shared = range(3)
    return (
        errors(*shared, *range(100, 100 + fixed)),
        errors(*shared, *range(500, 500 + broken)),
    )


def test_fixed_and_broken_images_are_counted() -> None:
    comparison = compare(errors(1, 4, 5, 9), errors(4, 6, 7, 8, 9))
    assert (comparison.fixed, comparison.broken) == (2, 3)


@pytest.mark.parametrize(
    ("fixed", "broken", "p_value"),
    [
        # The online calculator of Vassar College, as statsmodels' tests quote it.
        (121, 59, 0.000004),
        (70, 59, 0.378688),
        (80, 59, 0.089452),
        (30, 60, 0.002060),
        (10, 30, 0.002221),
        (10, 10, 1.0),
    ],
)
def test_p_value_is_the_published_one(fixed: int, broken: int, p_value: float) -> None:
    comparison = compare(*errors_that_differ(fixed, broken))
    assert comparison.p_value == pytest.approx(p_value, abs=5e-7)


@pytest.mark.parametrize(
    ("fixed", "broken", "p_value"),
    [
        (0, 1, 1.0),
        (0, 5, 2 / 2**5),
        (0, 6, 2 / 2**6),
        (1, 7, 2 * (1 + 8) / 2**8),
        (2, 9, 2 * (1 + 11 + 55) / 2**11),
    ],
)
def test_p_value_is_the_binomial_worked_by_hand(fixed: int, broken: int, p_value: float) -> None:
    old, new = errors_that_differ(fixed, broken)
    assert compare(old, new).p_value == pytest.approx(p_value, rel=1e-12)
    assert compare(new, old).p_value == pytest.approx(p_value, rel=1e-12)


def test_errors_on_the_same_images_are_no_difference() -> None:
    old = errors(3, 8)
    assert compare(old, old.assign(predicted=2, probability=0.9)).p_value == 1


def test_models_without_errors_can_be_compared() -> None:
    assert compare(errors(), errors()).p_value == 1
