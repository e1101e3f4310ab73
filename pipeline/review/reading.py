"""Read a state from Git or from the working tree, and refuse what does not belong together."""

import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import BaseModel, ValidationError

from pipeline.git import extract, git, resolve
from pipeline.paths import DATASET, ERRORS, EVALUATION, HISTORY, METRICS, PARAMS, RAW, SEEDS
from pipeline.review.errors import ReportError
from pipeline.review.revision import (
    CODE,
    LOCK,
    REQUIREMENTS,
    STAGES,
    DeclaredStage,
    Evaluation,
    LockedStage,
    Revision,
)
from pipeline.review.spread import Spread, parse_spread
from pipeline.tracking.origin import flatten_sections, parse_yaml

READ = [*map(str, (PARAMS, STAGES, LOCK, METRICS, REQUIREMENTS, CODE, RAW))]
WHOLE = ["image", "label", "predicted"]
ERRORS_COLUMNS = [*WHOLE, "probability"]
HISTORY_COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
ROUNDING = 1e-6  # of what metrics/ holds
UNSHALLOW = "; in this shallow clone, `git fetch --unshallow` may bring it"
Parsed = TypeVar("Parsed")
Stage = TypeVar("Stage", bound=BaseModel)


def merge_base(revision: str) -> tuple[str, str]:
    """Return the commit at which a revision left `main`, and the name of that branch.

    A local `main` may be older than what was fetched of it: the later of their commits counts.

    Raises:
        ReportError: there is none.
    """
    found: list[tuple[str, str]] = []
    for trunk in ("main", "origin/main"):
        commit = git("merge-base", revision, trunk) if resolve(trunk) else ""
        if commit and (not found or git("merge-base", found[0][0], commit) == found[0][0]):
            found.insert(0, (commit, trunk))
    if not found:
        raise ReportError(
            f"no common commit with main or origin/main; name a BASE to compare with{_shallow()}"
        )
    return found[0]


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
        raise ReportError(f"{revision or 'an empty name'}: Git knows no such commit{_shallow()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        extract(commit, folder, *READ)
        called = branch or ("" if commit.startswith(revision) else revision)
        yield _read(f"{called} ({commit[:7]})".lstrip(), commit, folder)


def in_working_tree() -> Revision:
    """Read the state that lies in the working tree.

    Raises:
        ReportError: it has no metrics that can be compared.
    """
    if not PARAMS.exists():
        raise ReportError(f"there is no {PARAMS} here: go to the root of the project")
    commit = resolve("HEAD")
    if git("status", "--porcelain", "--", *READ):
        return _read("the working tree", "", Path())
    return _read(f"{git('branch', '--show-current') or 'HEAD'} ({commit[:7]})", commit, Path())


def _shallow() -> str:
    return UNSHALLOW if git("rev-parse", "--is-shallow-repository") == "true" else ""


def _read(name: str, commit: str, folder: Path) -> Revision:
    def read(path: Path, parse: Callable[[str], Parsed]) -> Parsed:
        try:
            return parse((folder / path).read_text(encoding="utf-8"))
        except OSError as error:
            fault = f"cannot be read: {error.strerror}"
        except ValidationError as error:
            first = error.errors()[0]
            fault = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        # Of json, pandas, and of what has another shape than it should.
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            fault = f"is damaged: {error}"
        raise ReportError(f"{name}: {path}: {fault}")

    params = read(PARAMS, _parse_params)
    class_counts, val_samples = read(DATASET, _parse_samples)
    asked = params.get("prepare.test_samples", sum(class_counts.values()))
    evaluation = read(EVALUATION, lambda text: _parse_evaluation(text, class_counts, asked))
    revision = Revision(
        name=name,
        commit=commit,
        folder=folder,
        params=params,
        declared=read(STAGES, lambda text: _parse_stages(text, DeclaredStage)),
        stages=read(LOCK, lambda text: _parse_stages(text, LockedStage)),
        evaluation=evaluation,
        errors=read(ERRORS, lambda text: _parse_errors(text, evaluation, class_counts)),
        history=read(HISTORY, _parse_history),
        class_counts=class_counts,
        val_samples=val_samples,
        recorded=read(SEEDS, parse_spread) if (folder / SEEDS).exists() else None,
    )
    _check_seeds(revision.spread, revision)
    return revision


def _parse_mapping(text: str) -> dict[str, Any]:
    values = parse_yaml(text)
    if not values:
        raise ValueError("it holds no YAML mapping")
    return values


def _parse_params(text: str) -> dict[str, object]:
    params = flatten_sections(_parse_mapping(text))
    json.dumps(params)  # as the id of the state does
    return params


def _parse_stages(text: str, model: type[Stage]) -> dict[str, Stage]:
    stages = _parse_mapping(text)["stages"].items()
    return {str(name): model.model_validate(values) for name, values in stages}


def _parse_samples(text: str) -> tuple[dict[int, int], int]:
    """Return the number of test images by class, and that of validation images."""
    splits = {row["split"]: row for row in json.loads(text)["splits"]}
    classes = splits["test"]["classes"].items()
    return {int(label): int(count) for label, count in classes}, int(splits["val"]["samples"])


def _parse_evaluation(text: str, class_counts: Mapping[int, int], asked: object) -> Evaluation:
    evaluation = Evaluation.model_validate_json(text)
    described = sum(class_counts.values())
    if not evaluation.samples == described == asked:
        raise ValueError(
            f"of {evaluation.samples} test images, but {DATASET} has {described}, and "
            f"prepare.test_samples is {asked}"
        )
    if abs(evaluation.accuracy - (1 - evaluation.errors / evaluation.samples)) > ROUNDING:
        raise ValueError(f"{evaluation.errors} errors do not make its accuracy")
    return evaluation


def _parse_table(text: str, columns: list[str]) -> pd.DataFrame:
    if not text.endswith("\n"):
        raise ValueError("its last line is cut")
    table = pd.read_csv(io.StringIO(text))
    if list(table.columns) != columns:
        raise ValueError(f"its columns are not {', '.join(columns)}")
    return table if table.empty else table.astype(float)


def _parse_history(text: str) -> pd.DataFrame:
    history = _parse_table(text, HISTORY_COLUMNS)
    if history.empty:
        raise ValueError("it has no rows")
    return history.astype({"epoch": int})


def _parse_errors(
    text: str, evaluation: Evaluation, class_counts: Mapping[int, int]
) -> pd.DataFrame:
    errors = _parse_table(text, ERRORS_COLUMNS)
    if (errors[WHOLE] % 1 != 0).to_numpy().any():  # also where there is none
        raise ValueError(f"not all of {', '.join(WHOLE)} are whole numbers")
    errors = errors.astype(dict.fromkeys(WHOLE, int))
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
    return errors


def _check_seeds(spread: Spread | None, revision: Revision) -> None:
    """Check that what was recorded of this very state is what its evaluation says.

    Raises:
        ReportError: it is not.
    """
    accuracy = revision.evaluation.accuracy
    for run in spread.runs if spread else ():
        if run.state == revision.state_id and abs(run.accuracy - accuracy) > ROUNDING:
            raise ReportError(
                f"{revision.name}: {SEEDS}: has accuracy {run.accuracy} for this state, but "
                f"{EVALUATION} has {accuracy}"
            )
