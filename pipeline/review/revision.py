"""One side of a comparison: what Git holds of a state, at a commit or in the working tree."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from pipeline.core.splits import TEST
from pipeline.provenance.recorded import Recorded
from pipeline.provenance.spread import Spread

FORMER_PACKAGES = Path("requirements.txt")  # where older commits have PACKAGES


class Evaluation(BaseModel):
    """What `metrics/evaluation.json` holds: what a verdict needs, and other metrics or not."""

    model_config = ConfigDict(frozen=True, extra="allow")

    accuracy: float = Field(ge=0, le=1)
    errors: int = Field(ge=0)
    samples: int = Field(ge=1)


@dataclass(frozen=True)
class Revision(Recorded):
    """One side of a comparison.

    Attributes:
        name: how the report calls it.
        commit: its hash; empty for a working tree that differs from its commit.
        evaluation: the test metrics.
        results: what other JSON files of metrics hold, by their paths.
        errors: one row for each misclassified test image: image, label, predicted, probability.
        history: one row for each epoch, with its number and what was measured.
        class_counts: number of test images by class, in the order of the labels.
        val_samples: number of validation images.
        recorded: what `metrics/seeds.json` holds, whichever state it belongs to.
    """

    name: str
    commit: str
    evaluation: Evaluation
    results: Mapping[Path, object]
    errors: pd.DataFrame
    history: pd.DataFrame
    class_counts: Mapping[str, int]
    val_samples: int
    recorded: Spread | None

    @property
    def test_digests(self) -> list[str]:
        """MD5 of the test images and of their labels; empty where that is not known."""
        return [self.made.get(str(path), "") for path in (TEST.images, TEST.labels)]

    @property
    def spread(self) -> Spread | None:
        """The spread over seeds, if it was measured for this state and not for another."""
        recorded = self.recorded
        return recorded if recorded and recorded.belongs_to(self.state_id) else None

    @property
    def correct(self) -> int:
        """Number of test images that are classified correctly."""
        return self.evaluation.samples - self.evaluation.errors
