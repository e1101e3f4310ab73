"""What a report takes for the metrics of a state."""

import json

import pytest

from pipeline.review.parsing import parse_errors, parse_history, parse_samples
from pipeline.review.revision import Evaluation

COUNTS = {"T-shirt/top": 3, "NA": 2, "7": 0}
EVALUATION = Evaluation(accuracy=0.6, errors=2, samples=5)
HEADER = "image,label,predicted,probability\n"


def test_samples_are_read_of_the_first_layout_too() -> None:
    # As `prepare` wrote it before there were names of classes, duplicates and balance.
    old = {
        "splits": [
            {"split": "train", "samples": 3, "classes": {"0": 2, "1": 1}, "pixel_mean": 0.1},
            {"split": "val", "samples": 2, "classes": {"0": 1, "1": 1}, "pixel_mean": 0.1},
            {"split": "test", "samples": 9, "classes": {"0": 4, "1": 5}, "pixel_mean": 0.1},
        ],
        "test_images_also_in": {"train": 0, "val": 0},
    }

    assert parse_samples(json.dumps(old)) == ({"0": 4, "1": 5}, 2)


def test_errors_are_of_classes_by_their_names() -> None:
    text = f"{HEADER}0,T-shirt/top,7,0.5\n4,NA,T-shirt/top,0.9\n"

    errors = parse_errors(text, EVALUATION, COUNTS)

    assert errors["label"].tolist() == ["T-shirt/top", "NA"]
    assert errors["predicted"].tolist() == ["7", "T-shirt/top"]


def test_history_of_other_columns_is_read() -> None:
    history = parse_history("epoch,loss,val_f1\n1,0.5,0.25\n2,0.25,\n")

    assert history["epoch"].tolist() == [1, 2]
    assert history["val_f1"].iloc[0] == 0.25
    with pytest.raises(ValueError, match="no column epoch"):
        parse_history("loss\n0.5\n")


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("0,NA,8,0.5\n1,NA,7,0.5\n", "metrics/dataset.json has no class 8"),
        ("0,8,NA,0.5\n1,NA,7,0.5\n", "metrics/dataset.json has no class 8"),
        ("0,7,NA,0.5\n1,NA,7,0.5\n", "1 rows of class 7, of which"),
        ("0,NA,NA,0.5\n1,NA,7,0.5\n", "it has images that are classified correctly"),
    ],
)
def test_errors_that_cannot_be_are_refused(rows: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_errors(HEADER + rows, EVALUATION, COUNTS)
