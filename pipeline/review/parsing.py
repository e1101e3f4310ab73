"""What the files of a state must be, for two states to be compared."""

import io
import json
from collections.abc import Mapping
from typing import TypeVar

import pandas as pd
from pydantic import BaseModel

from pipeline.core.rounding import DIGITS
from pipeline.data.paths import DATASET
from pipeline.evaluation.paths import EVALUATION
from pipeline.evaluation.predictions import parse_predictions
from pipeline.review.revision import Evaluation

ROUNDING = 10**-DIGITS
Stage = TypeVar("Stage", bound=BaseModel)


def parse_samples(text: str) -> tuple[dict[str, int], int]:
    """Return the number of test images by class, and that of validation images.

    Raises:
        ValueError: they are no numbers.
        LookupError: one is missing.
    """
    splits = {row["split"]: row for row in json.loads(text)["splits"]}
    classes = splits["test"]["classes"].items()
    return {name: int(count) for name, count in classes}, int(splits["val"]["samples"])


def parse_evaluation(text: str, class_counts: Mapping[str, int]) -> Evaluation:
    """Return the test metrics.

    Args:
        text: of `metrics/evaluation.json`.
        class_counts: number of test images by class.

    Raises:
        ValueError: it lacks one, or they contradict each other or the number of images.
    """
    evaluation = Evaluation.model_validate_json(text)
    described = sum(class_counts.values())
    if evaluation.samples != described:
        raise ValueError(f"of {evaluation.samples} test images, but {DATASET} has {described}")
    if abs(evaluation.accuracy - (1 - evaluation.errors / evaluation.samples)) > ROUNDING:
        raise ValueError(f"{evaluation.errors} errors do not make its accuracy")
    return evaluation


def parse_history(text: str) -> pd.DataFrame:
    """Return one row for each epoch.

    Raises:
        ValueError: there is none, or its epochs or what was measured are no numbers.
    """
    _require_last_line(text)
    history = pd.read_csv(io.StringIO(text))
    if "epoch" not in history:
        raise ValueError("it has no column epoch")
    if history.empty:
        raise ValueError("it has no rows")
    return history.astype(float).astype({"epoch": int})


def parse_errors(
    text: str, evaluation: Evaluation, class_counts: Mapping[str, int]
) -> pd.DataFrame:
    """Return one row for each misclassified image.

    Raises:
        ValueError: they are not those that the evaluation has counted, or no errors at all.
    """
    _require_last_line(text)
    errors = parse_predictions(text)
    images = errors["image"]
    if len(errors) != evaluation.errors:
        raise ValueError(f"{len(errors)} rows, but {EVALUATION} has {evaluation.errors} errors")
    if images.duplicated().any() or not images.between(0, evaluation.samples - 1).all():
        raise ValueError(f"its images are not among the {evaluation.samples} test images, or twice")
    if (errors["label"] == errors["predicted"]).any():
        raise ValueError("it has images that are classified correctly")
    if unknown := {*errors["label"], *errors["predicted"]} - class_counts.keys():
        raise ValueError(f"{DATASET} has no class {min(unknown)}")
    for label, count in errors["label"].value_counts().items():
        if count > class_counts[str(label)]:
            raise ValueError(f"{count} rows of class {label}, of which {DATASET} has fewer images")
    return errors


def _require_last_line(text: str) -> None:
    if not text.endswith("\n"):
        raise ValueError("its last line is truncated")
