"""How much test accuracy depends on the seed: what `metrics/seeds.json` records.

Two trainings that differ in nothing but the seed make two models, of which a paired test may say,
rightly, that one is better. Whether a *change* is better, only the spread over seeds can tell.
"""

import math
import statistics
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.stats import t


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
    confidence: float
    runs: tuple[SeedRun, ...] = Field(min_length=2)

    @property
    def accuracies(self) -> list[float]:
        """The test accuracy of each run."""
        return [run.accuracy for run in self.runs]

    def belongs_to(self, state: str) -> bool:
        """Tell whether the state is one of the runs."""
        return any(run.state == state for run in self.runs)


def summarise(state: str, runs: Sequence[SeedRun], confidence: float) -> Spread:
    """Describe the runs, two or more, of one recipe; values are rounded to 6 digits."""
    accuracies = [run.accuracy for run in runs]
    mean, std = statistics.mean(accuracies), statistics.stdev(accuracies)
    half = t.ppf((1 + confidence) / 2, len(runs) - 1) * std / math.sqrt(len(runs))
    return Spread(
        state=state,
        seeds=len(runs),
        accuracy_mean=round(mean, 6),
        accuracy_std=round(std, 6),
        accuracy_low=round(mean - half, 6),
        accuracy_high=round(mean + half, 6),
        confidence=confidence,
        runs=tuple(sorted(runs, key=lambda run: run.seed)),
    )


def parse_spread(text: str) -> Spread:
    """Read what `metrics/seeds.json` holds.

    Raises:
        ValueError: it is not what `pipeline.seeds` writes; the message says where.
    """
    try:
        return Spread.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise ValueError(f"{place}: {first['msg']}") from error
