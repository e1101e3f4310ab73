"""How much test accuracy depends on the seed: what `metrics/seeds.json` records.

Two trainings that differ in nothing but the seed make two models, of which a paired test may say,
rightly, that one is better. Whether a *change* is better, only the spread over seeds can tell.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.statistics.significance import mean_interval

DIGITS = 6


class SeedRun(BaseModel):
    """One training: its seed, its accuracy on the test images, and the id of its state."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(ge=0)
    accuracy: float = Field(ge=0, le=1)
    state: str = Field(pattern="^[0-9a-f]{32}$")


class Spread(BaseModel):
    """The trainings of one recipe with several seeds.

    Attributes:
        state: id of the state whose seed was varied; one of the runs has it.
        seeds: how many there were.
        accuracy_mean: mean test accuracy.
        accuracy_std: its standard deviation (of the sample, so over seeds - 1).
        accuracy_low: lower limit of the interval of the mean (Student's t).
        accuracy_high: its upper limit.
        confidence: level of the interval.
        runs: one for each seed, by seed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
        for name, value in _describe(self.accuracies, self.confidence).items():
            # Rounding, and a little more: another platform may round the other way.
            if not math.isclose(getattr(self, name), value, rel_tol=0, abs_tol=0.6 * 10**-DIGITS):
                got = getattr(self, name)
                raise ValueError(f"{name}: {got}, but that of the runs is {value:.{DIGITS}f}")
        return self


def summarise(state: str, runs: Sequence[SeedRun], confidence: float) -> Spread:
    """Describe the runs, two or more, of one recipe; values are rounded to 6 digits.

    Raises:
        ValueError: there are fewer than two runs, two have the same seed or state, or none has
            the state.
    """
    described = _describe([run.accuracy for run in runs], confidence)
    return Spread(
        state=state,
        seeds=len(runs),
        **{name: round(value, DIGITS) for name, value in described.items()},
        confidence=confidence,
        runs=tuple(sorted(runs, key=lambda run: run.seed)),
    )


def _describe(accuracies: Sequence[float], confidence: float) -> dict[str, float]:
    """Return mean, standard deviation and limits of the mean, by their names in `Spread`."""
    low, high = mean_interval(accuracies, confidence)
    return {
        "accuracy_mean": statistics.mean(accuracies),
        "accuracy_std": statistics.stdev(accuracies),
        "accuracy_low": low,
        "accuracy_high": high,
    }


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
