"""The schema of `sweep.yaml`, which says what is searched, and how."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from pipeline.core import params_faults, params_file
from pipeline.core.errors import ParamsError
from pipeline.core.params import PARAMS, Strict
from pipeline.provenance.params import Params
from pipeline.sweep.space import Range, find_faults, find_misfits, read_range

SWEEP = Path("sweep.yaml")
Count = Annotated[int, Field(ge=1)]


class Scheduler(Strict):
    """Asynchronous successive halving: Li et al., 2018, https://arxiv.org/abs/1810.05934.

    Attributes:
        grace_epochs: that every trial has before it may be stopped.
        reduction_factor: 3 lets a third continue at each comparison; the next is 3 times as late.
    """

    grace_epochs: Count
    reduction_factor: Annotated[int, Field(ge=2)]


class Settings(Strict):
    """All of `sweep.yaml`.

    Attributes:
        metric: by which trials are compared and the best is chosen; never one of the test images.
        trials: their number.
        concurrent: how many run at once.
        seed: of the sampler.
        seconds: after which the search ends, however many trials it has had; null: no limit.
        sampler: of Optuna: `tpe` learns from the trials so far, `random` does not.
        scheduler: null: all trials run to their end.
        space: what each searched param may be, by its dotted name.
    """

    metric: Literal["val_accuracy", "val_loss"]
    trials: Count
    concurrent: Count
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)]
    seconds: Annotated[float, Field(gt=0)] | None
    sampler: Literal["tpe", "random"]
    scheduler: Scheduler | None
    space: dict[str, Any]

    @property
    def sign(self) -> int:
        """1 where a higher metric is better, otherwise -1."""
        return 1 if self.metric == "val_accuracy" else -1

    @property
    def ranges(self) -> dict[str, Range]:
        """The space, as it is searched."""
        # Sorted: in another order the sampler would draw other values.
        return {name: read_range(self.space[name]) for name in sorted(self.space)}


def read_settings(params: Params, path: Path = SWEEP) -> Settings:
    """Read and check the whole file.

    Raises:
        ParamsError: with one line for each fault; or train.workers or early_stopping_patience of
            params.yaml are not for a search.
    """
    if params.train.early_stopping_patience is not None:
        raise ParamsError(
            f"{PARAMS}: train.early_stopping_patience: must be null for a search, which compares "
            "last epochs and has a scheduler to stop trials, got "
            f"{params.train.early_stopping_patience}"
        )
    if params.train.workers > 1:
        raise ParamsError(
            f"{PARAMS}: train.workers: must be 1 for a search, whose trials share the machines "
            f"each as one process, got {params.train.workers}"
        )
    given = params_file.read_mapping(path)
    faults = list(_schema_faults(given))
    if isinstance(given.get("space"), dict):
        faults += find_faults(given["space"], params)
    if not faults:
        settings = Settings.model_validate(given)
        scheduler = settings.scheduler
        if not scheduler or scheduler.grace_epochs <= params.train.epochs:
            return settings
        faults = [
            f"scheduler.grace_epochs: must be at most {params.train.epochs}, the train.epochs of "
            f"params.yaml, got {scheduler.grace_epochs}"
        ]
    raise ParamsError("\n".join(f"{path}: {fault}" for fault in faults))


def require_fit(settings: Settings, params: Params, height: int, width: int) -> None:
    """Check that all networks of the space fit images of this size, in pixels.

    Raises:
        ParamsError: with one line for each that does not.
    """
    if faults := find_misfits(settings.ranges, params, height, width):
        raise ParamsError("\n".join(f"{SWEEP}: {fault}" for fault in faults))


def _schema_faults(given: Mapping[Any, Any]) -> Iterator[str]:
    try:
        Settings.model_validate(given)
    except ValidationError as error:
        for fault in error.errors():
            place = [str(part) for part in fault["loc"]]
            if place[0] == "space" and len(place) > 1:
                continue  # a name that is no text: `find_faults` names it, too
            if fault["type"] == "extra_forbidden":
                known = Settings if len(place) == 1 else Scheduler
                close = get_close_matches(place[-1], known.model_fields, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                yield f"{'.'.join(place)}: is not a known setting{hint}"
            else:
                group = "".join(f"{part}." for part in place[:-1])
                fault["loc"] = fault["loc"][-1:]
                yield group + params_faults.describe(fault, Params)
