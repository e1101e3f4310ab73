"""One side of a comparison: what Git holds of a state, at a commit or in the working tree."""

import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline import state
from pipeline.git import extract, git, resolve
from pipeline.paths import DATASET, ERRORS, EVALUATION, HISTORY, METRICS, PARAMS, RAW, SEEDS
from pipeline.review.errors import ReportError
from pipeline.review.spread import Spread, parse_spread
from pipeline.splits import array_paths
from pipeline.tracking.origin import flatten_sections, parse_yaml

LOCK = Path("dvc.lock")
STAGES = Path("dvc.yaml")
REQUIREMENTS = Path("requirements.txt")
CODE = Path("pipeline")
READ = [*map(str, (PARAMS, STAGES, LOCK, METRICS, REQUIREMENTS, CODE, RAW))]
COLUMNS = {
    ERRORS: ["image", "label", "predicted", "probability"],
    HISTORY: ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"],
}
ROUNDING = 1e-6  # of what evaluation.json holds
Parsed = TypeVar("Parsed")


class Evaluation(BaseModel):
    """What a comparison reads of `metrics/evaluation.json`."""

    model_config = ConfigDict(frozen=True)

    accuracy: float = Field(ge=0, le=1)
    loss: float
    errors: int = Field(ge=0)
    samples: int = Field(ge=1)
    expected_calibration_error: float


@dataclass(frozen=True)
class Revision:
    """One side of a comparison.

    Attributes:
        name: how the report calls it.
        commit: its hash; empty for a working tree that differs from its commit.
        folder: that its files are in.
        params: by their dotted names.
        stages: what `dvc.lock` has of each stage.
        evaluation: the test metrics.
        errors: one row for each misclassified test image: image, label, predicted, probability.
        history: one row for each epoch: epoch, loss, accuracy, val_loss, val_accuracy.
        class_counts: number of test images by class.
        val_samples: number of validation images.
        recorded: what `metrics/seeds.json` holds, whichever state it belongs to.
    """

    name: str
    commit: str
    folder: Path = field(repr=False)
    params: Mapping[str, object]
    stages: Mapping[str, Any]
    evaluation: Evaluation
    errors: pd.DataFrame
    history: pd.DataFrame
    class_counts: Mapping[int, int]
    val_samples: int
    recorded: Spread | None

    @property
    def digests(self) -> dict[Path, str]:
        """MD5 of what stage `plot` was given, as `dvc.lock` has it."""
        deps = self.stages.get("plot", {}).get("deps") or []
        return {Path(dep["path"]): dep.get("md5", "") for dep in deps}

    @property
    def state_id(self) -> str:
        """The id of the state, by which MLflow's run is found; empty for another pipeline's."""
        digests = self.digests
        if not digests.keys() >= set(state.STATE_FILES):
            return ""
        return state.combine(self.params, {path: digests[path] for path in state.STATE_FILES})

    @property
    def test_digests(self) -> list[str]:
        """MD5 of the test images and of their labels."""
        return [self.digests.get(path, "") for path in array_paths("test")]

    @property
    def spread(self) -> Spread | None:
        """The spread over seeds, if it was measured for this state and not for another."""
        recorded = self.recorded
        return recorded if recorded and recorded.belongs_to(self.state_id) else None

    @property
    def correct(self) -> int:
        """Number of test images that are classified correctly."""
        return self.evaluation.samples - self.evaluation.errors


def merge_base(revision: str) -> tuple[str, str]:
    """Return the commit at which a revision left `main`, and the name of that branch.

    Raises:
        ReportError: there is none.
    """
    for trunk in ("main", "origin/main"):
        if resolve(trunk) and (commit := git("merge-base", revision, trunk)):
            return commit, trunk
    raise ReportError("no common commit with main or origin/main; name a BASE to compare with")


@contextmanager
def at_commit(revision: str, branch: str = "") -> Iterator[Revision]:
    """Read the state of a commit; its files are there until the block ends.

    Args:
        revision: names the commit.
        branch: that the commit is of, where its name does not tell.

    Raises:
        ReportError: there is no such commit, or it has no metrics that can be compared.
    """
    commit = resolve(revision)
    if not commit:
        shallow = git("rev-parse", "--is-shallow-repository") == "true"
        remedy = "; in this shallow clone, `git fetch --unshallow` brings it" if shallow else ""
        raise ReportError(f"{revision}: Git knows no such commit{remedy}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        extract(commit, folder, *READ)
        called = branch or ("" if commit.startswith(revision) else revision)
        yield _read(f"{called} (`{commit[:7]}`)".lstrip(), commit, folder)


def in_working_tree() -> Revision:
    """Read the state that lies in the working tree.

    Raises:
        ReportError: it has no metrics that can be compared.
    """
    commit = resolve("HEAD")
    if git("status", "--porcelain", "--", *READ):
        return _read("the working tree", "", Path())
    return _read(f"{git('branch', '--show-current') or 'HEAD'} (`{commit[:7]}`)", commit, Path())


def _read(name: str, commit: str, folder: Path) -> Revision:
    def read(path: Path, parse: Callable[[str], Parsed]) -> Parsed:
        try:
            return parse((folder / path).read_text(encoding="utf-8"))
        except OSError as error:
            fault = f"cannot be read: {error.strerror}"
        except ValidationError as error:
            first = error.errors()[0]
            fault = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        except (ValueError, KeyError, TypeError) as error:  # of json, pandas and what is missing
            fault = f"is damaged: {type(error).__name__}: {error}"
        raise ReportError(f"{name}: {path}: {fault}")

    class_counts, val_samples = read(DATASET, _parse_samples)
    evaluation = read(EVALUATION, Evaluation.model_validate_json)
    return Revision(
        name=name,
        commit=commit,
        folder=folder,
        params=flatten_sections(read(PARAMS, _parse_mapping)),
        stages=read(LOCK, lambda text: dict(_parse_mapping(text)["stages"])),
        evaluation=evaluation,
        errors=read(ERRORS, lambda text: _parse_errors(text, evaluation, class_counts)),
        history=read(HISTORY, lambda text: _parse_table(text, COLUMNS[HISTORY])),
        class_counts=class_counts,
        val_samples=val_samples,
        recorded=read(SEEDS, parse_spread) if (folder / SEEDS).exists() else None,
    )


def _parse_mapping(text: str) -> dict[str, Any]:
    values = parse_yaml(text)
    if not values:
        raise ValueError("it holds no YAML mapping")
    return values


def _parse_samples(text: str) -> tuple[dict[int, int], int]:
    """Return the number of test images by class, and that of validation images."""
    splits = {row["split"]: row for row in json.loads(text)["splits"]}
    classes = splits["test"]["classes"].items()
    return {int(label): int(count) for label, count in classes}, int(splits["val"]["samples"])


def _parse_table(text: str, columns: list[str]) -> pd.DataFrame:
    if not text.endswith("\n"):
        raise ValueError("its last line is cut")
    table = pd.read_csv(io.StringIO(text))
    if list(table.columns) != columns:
        raise ValueError(f"its columns are not {', '.join(columns)}")
    if table.empty and columns == COLUMNS[HISTORY]:
        raise ValueError("it has no rows")
    if not all(map(pd.api.types.is_numeric_dtype, table.dtypes)) and len(table):
        raise ValueError("not all of its values are numbers")
    return table


def _parse_errors(
    text: str, evaluation: Evaluation, class_counts: Mapping[int, int]
) -> pd.DataFrame:
    errors = _parse_table(text, COLUMNS[ERRORS])
    images = errors["image"]
    if len(errors) != evaluation.errors:
        raise ValueError(f"{len(errors)} rows, but {EVALUATION} has {evaluation.errors} errors")
    if images.duplicated().any() or not images.between(0, evaluation.samples - 1).all():
        raise ValueError(f"its images are not among the {evaluation.samples} test images, or twice")
    if (errors["label"] == errors["predicted"]).any():
        raise ValueError("it has images that are classified correctly")
    for label, count in errors["label"].value_counts().items():
        if count > class_counts.get(int(str(label)), 0):
            raise ValueError(f"{count} rows of class {label}, of which {DATASET} has fewer images")
    if abs(evaluation.accuracy - (1 - len(errors) / evaluation.samples)) > ROUNDING:
        raise ValueError(f"its number of rows and the accuracy of {EVALUATION} disagree")
    return errors
