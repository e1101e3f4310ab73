"""One side of a comparison: what Git holds of a state, at a commit or in the working tree."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from pipeline.core.splits import TEST
from pipeline.provenance import state
from pipeline.provenance.spread import Spread

FORMER_PACKAGES = Path("requirements.txt")  # where older commits have PACKAGES


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True)


class Evaluation(_Read):
    """What `metrics/evaluation.json` holds: what a verdict needs, and other metrics or not."""

    model_config = ConfigDict(frozen=True, extra="allow")

    accuracy: float = Field(ge=0, le=1)
    errors: int = Field(ge=0)
    samples: int = Field(ge=1)


class LockedFile(_Read):
    """A file or folder, and the MD5 that `dvc.lock` has of it."""

    path: str
    md5: str = ""


class LockedStage(_Read):
    """What `dvc.lock` has of a stage; `params` are by file, then by section or dotted name."""

    cmd: str | list[str]
    deps: list[LockedFile] = []
    params: dict[str, dict[str, object]] = {}
    outs: list[LockedFile] = []


class DeclaredStage(_Read):
    """What `dvc.yaml` declares of a stage, each path with its options or alone."""

    cmd: str | list[str]
    deps: list[str] = []
    params: list[str | dict[str, list[str] | None]] = []
    outs: list[str | dict[str, object]] = []
    metrics: list[str | dict[str, object]] = []
    plots: list[str | dict[str, object]] = []


@dataclass(frozen=True)
class Revision:
    """One side of a comparison.

    Attributes:
        name: how the report calls it.
        commit: its hash; empty for a working tree that differs from its commit.
        folder: that its files are in.
        params: by their dotted names.
        declared: what `dvc.yaml` has of each stage.
        stages: what `dvc.lock` has of each stage.
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
    folder: Path = field(repr=False)
    params: Mapping[str, object]
    declared: Mapping[str, DeclaredStage]
    stages: Mapping[str, LockedStage]
    evaluation: Evaluation
    results: Mapping[Path, object]
    errors: pd.DataFrame
    history: pd.DataFrame
    class_counts: Mapping[str, int]
    val_samples: int
    recorded: Spread | None

    @property
    def made(self) -> dict[str, str]:
        """MD5 of all outputs, as `dvc.lock` has them."""
        return {out.path: out.md5 for stage in self.stages.values() for out in stage.outs}

    @property
    def given(self) -> dict[str, str]:
        """MD5 of all that stages depend on and none of them makes, and the stages' commands."""
        made, stages = self.made, self.stages.values()
        deps = {dep.path: dep.md5 for stage in stages for dep in stage.deps}
        commands = {name: str(stage.cmd) for name, stage in self.stages.items()}
        return {path: md5 for path, md5 in deps.items() if path not in made} | commands

    @property
    def state_id(self) -> str:
        """The id of the state, by which MLflow's run is found; empty for another pipeline's."""
        made = self.made
        if not made.keys() >= set(map(str, state.STATE_FILES)):
            return ""
        return state.combine(self.params, {path: made[str(path)] for path in state.STATE_FILES})

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
