"""How much test metrics depend on the seed: what `metrics/seeds.json` records.

Two training runs that differ only in the seed make two models, of which a paired test may say,
rightly, that one is better. Whether a *change* is better, only the spread over seeds can tell.

The accuracy is always recorded, the other metrics if there were any when the file was written.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.core.rounding import DIGITS
from pipeline.statistics.significance import mean_interval

SEED = "train.seed"


class SeedRun(BaseModel):
    """One training run: its seed, its metrics on the test images, and the id of its state.

    Metrics other than the accuracy are further fields, None where there is no number.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, float | None] = Field(init=False)

    seed: int = Field(ge=0)
    accuracy: float = Field(ge=0, le=1)
    state: str = Field(pattern="^[0-9a-f]{32}$")

    @property
    def metrics(self) -> dict[str, float | None]:
        """All its metrics by their keys."""
        return {"accuracy": self.accuracy, **self.__pydantic_extra__}


class Spread(BaseModel):
    """The training runs of one recipe with several seeds.

    Attributes:
        state: id of the state whose seed was varied; one of the runs has it.
        seeds: how many there were.
        accuracy_mean: mean test accuracy.
        accuracy_std: its standard deviation (of the sample, so over seeds - 1).
        accuracy_low: lower limit of the interval of the mean (Student's t).
        accuracy_high: its upper limit.
        confidence: level of the interval.
        runs: one for each seed, by seed.

    The other metrics that all runs have are summarised by further fields, such as `loss_mean`.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, float] = Field(init=False)

    state: str
    seeds: int
    accuracy_mean: float
    accuracy_std: float
    accuracy_low: float
    accuracy_high: float
    confidence: float = Field(gt=0, lt=1)
    runs: tuple[SeedRun, ...] = Field(min_length=2)

    @property
    def accuracies(self) -> list[float]:
        """The test accuracy of each run."""
        return [run.accuracy for run in self.runs]

    @property
    def summary(self) -> dict[str, float]:
        """Mean, standard deviation and limits of each metric, as `accuracy_mean`."""
        return {name: getattr(self, name) for name in _describe(self.runs, self.confidence)}

    def belongs_to(self, state: str) -> bool:
        """Tell whether the state is one of the runs."""
        return any(run.state == state for run in self.runs)

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        """Refuse a summary that is not that of the runs."""
        seeds = [run.seed for run in self.runs]
        if self.seeds != len(seeds):
            raise ValueError(f"seeds: {self.seeds}, but there are {len(seeds)} runs")
        if seeds != sorted(set(seeds)):
            raise ValueError(f"runs: their seeds must differ and ascend, got {seeds}")
        if len({run.state for run in self.runs}) < len(seeds):
            raise ValueError("runs: two of them have the same state")
        if not self.belongs_to(self.state):
            raise ValueError("state: none of the runs has it")
        described = _describe(self.runs, self.confidence)
        for name, value in described.items():
            got = getattr(self, name, math.nan)
            # Rounding, and a little more: another platform may round the other way.
            if not math.isclose(got, value, rel_tol=0, abs_tol=0.6 * 10**-DIGITS):
                raise ValueError(f"{name}: {got}, but that of the runs is {value:.{DIGITS}f}")
        if unknown := self.__pydantic_extra__.keys() - described.keys():
            raise ValueError(f"{min(unknown)}: no metric that all runs have")
        return self


def summarise(state: str, runs: Sequence[SeedRun], confidence: float) -> Spread:
    """Describe the runs, two or more, of one recipe; values are rounded to 6 digits.

    Raises:
        ValueError: there are fewer than two runs, two have the same seed or state, or none has
            the state.
    """
    described = _describe(runs, confidence)
    values = {name: round(value, DIGITS) for name, value in described.items()}
    ordered = tuple(sorted(runs, key=lambda run: run.seed))
    given = {"state": state, "seeds": len(runs), "confidence": confidence, "runs": ordered}
    return Spread.model_validate(given | values)


def _describe(runs: Sequence[SeedRun], confidence: float) -> dict[str, float]:
    """Return mean, standard deviation and limits of the mean, by their names in `Spread`.

    They are given for each metric of which all runs have a number.
    """
    described = {}
    for key in runs[0].metrics if runs else ():
        values = [value for run in runs if (value := run.metrics.get(key)) is not None]
        if len(values) < len(runs):
            continue
        low, high = mean_interval(values, confidence)
        described[f"{key}_mean"] = statistics.mean(values)
        described[f"{key}_std"] = statistics.stdev(values)
        described[f"{key}_low"], described[f"{key}_high"] = low, high
    return described


def parse_spread(text: str) -> Spread:
    """Read what `metrics/seeds.json` holds.

    Raises:
        ValueError: it is not what `pipeline.seeds` writes; the message says where.
    """
    try:
        return Spread.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{place}: {message}" if place else message) from error
