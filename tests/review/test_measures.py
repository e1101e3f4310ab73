"""Metrics side by side, of states that do not have the same ones."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from pipeline.provenance.spread import SeedRun, Spread, summarise
from pipeline.review.measures import Measure, compare_classes, compare_spreads, compare_totals
from pipeline.review.revision import Evaluation, Revision
from pipeline.review.tables import measures_table

BASE = {"accuracy": 0.5, "errors": 5, "samples": 10, "loss": 0.7, "recall": {"a": 0.5, "b": 0.5}}
ERRORS = [(0, "a", "b"), (2, "a", "b"), (4, "b", "a"), (5, "b", "a"), (6, "b", "a")]
STATES = ["a" * 32, "b" * 32]


def revision(evaluation: dict[str, Any], history: dict[str, float] | None = None) -> Revision:
    """A state with 4 test images of class a and 6 of class b, 5 of them misclassified."""
    none: dict[str, Any] = {}
    return Revision(
        name="",
        commit="",
        folder=Path(),
        params=none,
        declared=none,
        stages=none,
        evaluation=Evaluation(**evaluation),
        results={},
        errors=pd.DataFrame(ERRORS, columns=["image", "label", "predicted"]),
        history=pd.DataFrame([{"epoch": 1, **(history or {})}]),
        class_counts={"a": 4, "b": 6},
        val_samples=20,
        recorded=None,
    )


def by_name(measures: list[Measure]) -> dict[str, Measure]:
    return {measure.name: measure for measure in measures}


def test_each_metric_is_compared_with_its_label_direction_and_interval() -> None:
    new = BASE | {"accuracy": 0.4, "errors": 6, "loss": 0.6}

    found = by_name(compare_totals(revision(BASE), revision(new), 0.9))

    accuracy, loss = found["test accuracy"], found["test loss"]
    assert (accuracy.old, accuracy.new, accuracy.worse) == (0.5, 0.4, True)
    wilson = proportion_confint(4, 10, alpha=0.1, method="wilson")
    assert accuracy.new_interval == pytest.approx(wilson)
    assert (loss.old, loss.new, loss.worse, loss.new_interval) == (0.7, 0.6, False, None)
    assert not found["test errors"].worse  # which way is better, the accuracy says
    assert not found["test images"].changed


def test_what_only_one_side_has_is_shown_as_missing_and_is_not_worse() -> None:
    old = revision(BASE, {"val_loss": 0.5, "val_f1": 0.25})
    new = BASE | {"top_2": 0.75, "nested": {"x": 1}, "note": "none", "accuracy_low": 0.1}
    del new["loss"]

    measures = compare_totals(old, revision(new, {"val_loss": 0.25, "loss": 1}), 0.95)

    found = by_name(measures)
    assert (found["test loss"].old, found["test loss"].new) == (0.7, None)
    assert (found["test top_2"].old, found["test top_2"].new) == (None, 0.75)
    assert found["test nested.x"].new == 1
    assert not found.keys() & {"test note", "test accuracy_low", "test recall.a"}
    assert found["validation loss, last epoch"].new == 0.25
    assert (found["validation f1, last epoch"].old, found["validation f1, last epoch"].new) == (
        0.25,
        None,
    )
    assert not any(measure.worse for measure in measures)
    table = measures_table(measures).splitlines()
    assert "| test loss | 0.7000 | missing |  |  |" in table
    assert "| `test top_2` | missing | 0.7500 |  |  |" in table
    assert "| test nested.x | missing | 1 |  |  |" in table


def test_values_by_class_go_by_one_mechanism() -> None:
    new = BASE | {"precision": {"a": 0.4, "b": 0.6}, "f1": {"a": 0.4, "b": None}}

    found = by_name(compare_classes(revision(BASE), revision(new), 0.95))

    assert list(found) == [
        *("recall of a", "precision of a", "f1 of a"),
        *("recall of b", "precision of b", "f1 of b"),
    ]
    of_label = proportion_confint(3, 6, method="wilson")
    assert found["recall of b"].old_interval == pytest.approx(of_label)
    # 2 of class a are right, and 3 others are taken for it.
    as_predicted = proportion_confint(2, 5, method="wilson")
    assert found["precision of a"].new_interval == pytest.approx(as_predicted)
    assert found["precision of a"].old is None
    assert (found["f1 of a"].new, found["f1 of a"].new_interval) == (0.4, None)
    assert not found["f1 of b"].changed


def test_spreads_are_compared_in_the_metrics_that_both_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def spread(*losses: float | None) -> Spread:
        runs = [
            SeedRun.model_validate({"seed": seed, "accuracy": 0.5, "state": state} | extra)
            for seed, (state, extra) in enumerate(
                zip(
                    STATES, ({} if loss is None else {"loss": loss} for loss in losses), strict=True
                )
            )
        ]
        return summarise(STATES[0], runs, 0.95)

    old, new = revision(BASE), revision(BASE)
    spreads = {id(old): spread(None, None), id(new): spread(0.5, 0.7)}
    monkeypatch.setattr(Revision, "spread", property(lambda side: spreads[id(side)]))

    found = by_name(compare_spreads(old, new))

    assert (found["mean test accuracy"].old, found["mean test accuracy"].new) == (0.5, 0.5)
    assert (found["mean test loss"].old, found["mean test loss"].new) == (None, 0.6)
    assert found["standard deviation of test loss"].new == pytest.approx(0.141421)
