"""The values that a search may give each param."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from typing import Any

from pydantic import ValidationError

from pipeline.core import params_faults
from pipeline.core.params import flatten, unflatten
from pipeline.model.feature_maps import feature_map_size
from pipeline.provenance.params import Params

KINDS = ("choice", "uniform", "loguniform", "int")
DIGITS = 4  # of drawn numbers, so that they can be read and typed
REFUSED = {
    "prepare": "the arrays are prepared once, for all trials: set it in params.yaml, `dvc repro`",
    "evaluate": "it does not affect training",
    "train.seed": "a seed that happens to win is luck, not a better recipe",
    "train.threads": "it decides how fast trials are, and bits by chance: set it in params.yaml",
    "train.workers": "each trial trains alone, and the machines share the trials",
    "train.early_stopping_patience": "the scheduler of the search stops trials",
    "train.epochs": "trials are compared epoch by epoch: set it in params.yaml",
}


@dataclass(frozen=True)
class Range:
    """The values of one param.

    Attributes:
        kind: one of KINDS.
        values: those to choose from, or the lowest and the highest.
    """

    kind: str
    values: list[Any]

    def round(self, value: float) -> float:
        """Return a drawn number with DIGITS digits, within the bounds."""
        lowest, highest = map(float, self.values)
        return min(max(float(f"{value:.{DIGITS}g}"), lowest), highest)


def read_range(given: object) -> Range:
    """Return the range that an entry of `sweep.yaml` is.

    Raises:
        ValueError: it is none; the message says what is wrong.
    """
    if not isinstance(given, dict) or len(given) != 1 or next(iter(given)) not in KINDS:
        raise ValueError(f"must be one of {', '.join(f'{kind}: [...]' for kind in KINDS)}")
    (kind, values), *_ = given.items()
    if not isinstance(values, list) or not values:
        raise ValueError(f"{kind} must be a list of values")
    if kind == "choice":
        return Range(kind, values)
    types = (int,) if kind == "int" else (int, float)
    if len(values) != 2 or any(type(value) not in types for value in values):
        plural = "whole numbers" if kind == "int" else "numbers"
        raise ValueError(f"{kind} must be two {plural}, the lowest and the highest, got {values}")
    if not all(map(math.isfinite, values)) or values[0] >= values[1]:
        raise ValueError(f"{kind} must go from a lower to a higher number, got {values}")
    if kind == "loguniform" and values[0] <= 0:
        raise ValueError(f"loguniform must start above 0, got {values}")
    return Range(kind, values if kind == "int" else [float(value) for value in values])


def apply(params: Params, changes: Mapping[str, object]) -> Params:
    """Return params with other values, by their dotted names.

    Raises:
        ValidationError: these cannot be.
    """
    return Params.model_validate(unflatten(flatten(params) | dict(changes)))


def find_faults(space: Mapping[str, Any], params: Params) -> Iterator[str]:
    """Yield what is wrong with a space, one line for each fault."""
    known = list(flatten(params))
    if not space:
        yield "space: must have at least one param"
    for name, given in ((str(key), value) for key, value in space.items()):
        refused = REFUSED.get(name) or REFUSED.get(name.partition(".")[0])
        if name not in known and name not in REFUSED:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield f"space: {name} is not a known parameter{hint}"
        elif refused:
            yield f"space: {name} cannot be searched: {refused}"
        else:
            try:
                yield from _find_faults_in_values(name, read_range(given), params)
            except ValueError as error:
                yield f"space: {name}: {error}"


def find_misfits(space: Mapping[str, Range], params: Params, height: int, width: int) -> list[str]:
    """Return what is wrong with networks that do not fit images of this size, in pixels."""
    shapes = ("conv_blocks", "kernel_size", "residual")
    values = [
        space[f"model.{key}"].values if f"model.{key}" in space else [getattr(params.model, key)]
        for key in shapes
    ]
    faults = []
    for chosen in product(*values):
        model = params.model.model_copy(update=dict(zip(shapes, chosen, strict=True)))
        try:
            feature_map_size(model, height, width)
        except ValueError as error:
            faults.append(
                f"space: with {model.conv_blocks} and kernel_size {model.kernel_size}: {error}"
            )
    return faults


def _find_faults_in_values(name: str, found: Range, params: Params) -> Iterator[str]:
    for value in found.values:
        try:
            apply(params, {name: value})
        except ValidationError as error:
            for fault in error.errors():
                yield f"space: {params_faults.describe(fault, Params)}"
