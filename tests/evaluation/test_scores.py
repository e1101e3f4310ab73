"""Metrics of predictions, against references and cases done by hand."""

import json
import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import classification_report

from pipeline.evaluation.scores import Outcome, Probabilities, score, tabulate
from pipeline.provenance.results import flatten_numbers

DIGITS = [str(digit) for digit in range(10)]


def sure(*digits: int, probability: float = 0.91) -> Probabilities:
    """One image for each of `digits`, which has this probability; the others share the rest."""
    rest = (1 - probability) / 9
    rows = np.full((len(digits), 10), rest, np.float32)
    rows[np.arange(len(digits)), digits] = probability
    return rows


def scored(probabilities: Probabilities, *labels: int, confidence: float = 0.95) -> dict[str, Any]:
    truth = np.array(labels, np.uint8)
    predictions = tabulate(probabilities, truth, DIGITS)
    return score(Outcome(probabilities, truth, predictions, confidence), DIGITS)


@pytest.fixture(scope="module")
def many() -> tuple[Probabilities, list[int]]:
    """1,000 images in unequal classes, most of them taken for what they are."""
    random = np.random.default_rng(0)
    labels = random.choice(10, 1000, p=np.arange(1, 11) / 55)
    logits = random.normal(size=(1000, 10))
    logits[np.arange(1000), labels] += 2.5
    powers = np.exp(logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32), labels.tolist()


def test_table_has_a_row_for_each_image_in_order() -> None:
    probabilities = np.zeros((3, 10), np.float32)
    probabilities[0, [3, 5]] = 0.25, 0.75
    probabilities[1, [0, 9]] = 0.625, 0.375
    probabilities[2, 9] = 1

    table = tabulate(probabilities, np.array([5, 9, 9], np.uint8), DIGITS)

    assert table.columns.tolist() == ["image", "label", "predicted", "probability"]
    assert table.to_numpy().tolist() == [
        [0, "5", "5", 0.75],
        [1, "9", "0", 0.625],
        [2, "9", "9", 1],
    ]
    assert table["image"].dtype.kind in "iu"


def test_first_of_equally_probable_classes_is_predicted() -> None:
    table = tabulate(np.full((1, 10), 0.1, np.float32), np.array([7], np.uint8), DIGITS)

    assert table["predicted"].tolist() == ["0"]


def test_probabilities_in_the_table_are_decimals_of_6_digits() -> None:
    # As float32, 0.9 is 0.89999998 and 0.1234567 is 0.12345670163631439.
    probabilities = np.zeros((2, 10), np.float32)
    probabilities[:, 4] = 0.9, 0.1234567

    table = tabulate(probabilities, np.array([4, 4], np.uint8), DIGITS)

    assert table["probability"].tolist() == [0.9, 0.123457]


def test_metrics_of_a_hand_computed_case() -> None:
    # Four images: 7, 7 and 1 are recognised, and another 1 is taken for a 7.
    metrics = scored(sure(7, 7, 1, 7), 7, 7, 1, 1)

    # Wilson's interval for 3 of 4 at z = 1.959964, that is z^2 = 3.841459:
    # (0.75 + 0.480182 +- 1.959964 * sqrt(0.046875 + 0.060023)) / 1.960365
    expected = {
        "accuracy": 0.75,
        "accuracy_low": 0.300642,
        "accuracy_high": 0.954413,
        "loss": round(-(3 * math.log(0.91) + math.log(0.01)) / 4, 6),
        "errors": 1,
        "samples": 4,
        "expected_calibration_error": 0.16,  # all in one bin: 0.91 - 0.75
        "recall": dict.fromkeys(DIGITS) | {"1": 0.5, "7": 1.0},
        "precision": dict.fromkeys(DIGITS) | {"1": 1.0, "7": 0.666667},
    }
    assert {name: metrics[name] for name in expected} == expected


def test_per_class_metrics_agree_with_scikit_learn(many: tuple[Probabilities, list[int]]) -> None:
    probabilities, labels = many
    report = classification_report(labels, probabilities.argmax(axis=1), output_dict=True)

    metrics = scored(probabilities, *labels)

    for name in ("recall", "precision"):
        assert list(metrics[name]) == DIGITS
        expected = {digit: report[digit][name] for digit in DIGITS}
        assert metrics[name] == pytest.approx(expected, abs=5.1e-7)
        assert len(set(metrics[name].values())) == 10  # so none can stand for another
    assert metrics["accuracy"] == pytest.approx(report["accuracy"], abs=5.1e-7)


def test_loss_is_the_mean_negative_log_of_the_labels_probability(
    many: tuple[Probabilities, list[int]],
) -> None:
    probabilities, labels = many
    of_labels = [float(row[label]) for row, label in zip(probabilities, labels, strict=True)]

    metrics = scored(probabilities, *labels)

    assert metrics["loss"] == pytest.approx(-math.fsum(map(math.log, of_labels)) / 1000, abs=1e-6)


# Newcombe, "Two-sided confidence intervals for the single proportion" (Statistics in Medicine
# 17, 1998), table I, method 3: Wilson's score interval at 95%.
@pytest.mark.parametrize(
    ("correct", "samples", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)],
)
def test_interval_of_the_accuracy_is_the_published_one(
    correct: int, samples: int, low: float, high: float
) -> None:
    metrics = scored(sure(*[3] * samples), *[3] * correct, *[8] * (samples - correct))

    assert (metrics["errors"], metrics["samples"]) == (samples - correct, samples)
    assert metrics["accuracy_low"] == pytest.approx(low, abs=5e-5)
    assert metrics["accuracy_high"] == pytest.approx(high, abs=5e-5)


def test_interval_has_the_level_that_is_asked_for() -> None:
    metrics = scored(sure(3, 3, 3, 3), 3, 3, 3, 8, confidence=0.5)

    # z = 0.674490, z^2 = 0.454936:
    # (0.75 + 0.056867 +- 0.674490 * sqrt(0.046875 + 0.007108)) / 1.113734
    assert metrics["accuracy_low"] == pytest.approx(0.583760, abs=2e-6)
    assert metrics["accuracy_high"] == pytest.approx(0.865180, abs=2e-6)


@pytest.mark.filterwarnings("error")
def test_class_without_images_has_no_recall_and_one_never_predicted_no_precision() -> None:
    metrics = scored(sure(0, 0, 2), 0, 1, 0)

    assert metrics["recall"] == dict.fromkeys(DIGITS) | {"0": 0.5, "1": 0.0}
    assert metrics["precision"] == dict.fromkeys(DIGITS) | {"0": 0.5, "2": 0.0}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("label", [6, 2], ids=["right", "wrong"])
def test_probabilities_of_0_and_1_give_a_finite_loss(label: int) -> None:
    metrics = scored(sure(6, 6, 6, probability=1.0), 6, 6, label)

    assert math.isfinite(metrics["loss"])
    assert (metrics["loss"] > 1) == (label == 2)
    assert metrics["accuracy"] == (1 if label == 6 else 0.666667)
    assert metrics["expected_calibration_error"] == pytest.approx(1 - metrics["accuracy"])


@pytest.mark.filterwarnings("error")
def test_one_image_is_enough() -> None:
    metrics = scored(sure(4), 4)

    assert (metrics["accuracy"], metrics["errors"], metrics["samples"]) == (1, 0, 1)
    assert metrics["accuracy_high"] == 1


def test_metrics_are_json_in_6_digits(many: tuple[Probabilities, list[int]]) -> None:
    probabilities, labels = many
    metrics = scored(probabilities, *labels)

    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert type(metrics["errors"]) is type(metrics["samples"]) is int
    for value in flatten_numbers(metrics).values():
        assert value == round(value or 0, 6)
