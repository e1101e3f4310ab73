"""What `experiments.yaml` says: each experiment by its name, and the params that it is about."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.core import params_faults, params_file
from pipeline.core.errors import ParamsError
from pipeline.core.params import flatten, unflatten
from pipeline.provenance.params import Params
from pipeline.provenance.state import NEUTRAL

EXPERIMENTS = Path("experiments.yaml")
LESSON = "lesson"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # no option, and what Git has in names of refs

Text = Annotated[str, Field(min_length=1)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    description: Text
    learning_curve: Text | None = None
    params: dict[str, Any]


@dataclass(frozen=True)
class Experiment:
    """An experiment that is to be run, or was.

    Attributes:
        name: that DVC has for it.
        description: in a few words.
        learning_curve: the line of that figure which it is a point of; None: it is none.
        changes: the params that set it apart from the lesson, by their dotted names.
        params: all of them.
    """

    name: str
    description: str
    learning_curve: str | None
    changes: Mapping[str, object]
    params: Params

    def changes_from(self, present: Params) -> dict[str, object]:
        """Return the params that set it apart from the present ones, by their dotted names."""
        return _difference(self.params, present)


def read_experiments(path: Path = EXPERIMENTS) -> dict[str, Experiment]:
    """Read and check the whole file.

    A param that the lesson leaves out has its neutral value; the others have the lesson's.

    Returns:
        The experiments by their names, in the file's order.

    Raises:
        ParamsError: the file cannot be read, or with one line for each fault of an experiment.
    """
    entries = {}
    for name, given in params_file.read_mapping(path).items():
        if not NAME.fullmatch(str(name)):
            raise ParamsError(f"{path}: {name}: must be a name of letters, digits, - and _")
        entries[str(name)] = _read_entry(f"{path}: {name}", given)
    if LESSON not in entries:
        raise ParamsError(f"{path}: {LESSON}: is missing; the others are changes of it")
    lesson = Params.check(unflatten(NEUTRAL | entries[LESSON].params), f"{path}: {LESSON}")
    experiments = {}
    for name, entry in entries.items():
        params = Params.check(unflatten(flatten(lesson) | entry.params), f"{path}: {name}")
        changes = _difference(params, lesson)
        experiments[name] = Experiment(
            name, entry.description, entry.learning_curve, changes, params
        )
    return experiments


def _read_entry(where: str, given: object) -> _Entry:
    try:
        return _Entry.model_validate(given)
    except ValidationError as error:
        faults = (params_faults.describe(fault, Params) for fault in error.errors())
        raise ParamsError("\n".join(f"{where}: {fault}" for fault in faults)) from None


def _difference(params: Params, base: Params) -> dict[str, object]:
    before = flatten(base)
    return {name: value for name, value in flatten(params).items() if value != before[name]}
