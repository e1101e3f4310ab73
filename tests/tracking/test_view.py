"""Which columns the view of runs begins with."""

import json

from pipeline.tracking.view import describe_view, show_groups


def columns(view: str) -> list[str]:
    order: list[str] = json.loads(json.loads(view)["state"])["columnOrder"]
    return [column.split("`")[1] for column in order]


def test_view_begins_with_data_network_and_what_usually_differs() -> None:
    order = columns(describe_view())
    assert order[:2] == ["prepare.dataset", "model.conv_blocks"]
    assert order.index("train.epochs") < order.index("test_accuracy") < order.index("train.seed")


def test_best_of_a_sweep_comes_after_the_other_metrics_once() -> None:
    view = show_groups(describe_view(), ["best_val_accuracy"])
    order = columns(view)
    assert order[order.index("val_accuracy") + 1] == "best_val_accuracy"
    assert show_groups(view, ["best_val_accuracy"]) == view
