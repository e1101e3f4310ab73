"""What was changed between two states: params, stages and why they ran, packages, errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.data.paths import RAW
from pipeline.provenance.packages import EFFECTS, Pin, describe_versions, parse_lock
from pipeline.provenance.paths import CODE, PACKAGES
from pipeline.provenance.recorded import LockedFile, LockedStage
from pipeline.provenance.state import NEUTRAL
from pipeline.review.revision import FORMER_PACKAGES, Revision

ABSENT = "absent"
NO_STAGE = LockedStage(cmd="")


@dataclass(frozen=True)
class StageChange:
    """Why a stage ran again, and what came of it; all empty where it did not.

    Attributes:
        stage: its name.
        params: those that were changed, by their dotted names.
        command: the new one, if it was changed.
        code: modules that were changed.
        data: raw data that was changed.
        upstream: outputs of earlier stages that were changed.
        outputs: its own outputs that were changed.
    """

    stage: str
    params: list[str]
    command: list[str]
    code: list[str]
    data: list[str]
    upstream: list[str]
    outputs: list[str]


def changed_params(old: Revision, new: Revision) -> list[tuple[str, object, object]]:
    """Return name, old and new value of each param that differs."""
    before, after = NEUTRAL | dict(old.params), NEUTRAL | dict(new.params)
    return [
        (name, before.get(name, ABSENT), after.get(name, ABSENT))
        for name in _differing(before, after)
    ]


def changed_stages(old: Revision, new: Revision) -> list[StageChange]:
    """Compare what `dvc.lock` has of each stage."""
    return [
        _compare_stage(name, old.stages.get(name, NO_STAGE), new.stages.get(name, NO_STAGE))
        for name in {**old.stages, **new.stages}
    ]


def changed_packages(old: Revision, new: Revision) -> list[tuple[str, str, str]]:
    """Return name, old and new versions in the lock of the packages that can change bits."""
    pins = _read_lock(old), _read_lock(new)
    versions = {
        name: [describe_versions(side, name) or ABSENT for side in pins] for name in EFFECTS
    }
    return [(name, before, after) for name, (before, after) in versions.items() if before != after]


def changed_images(old: pd.DataFrame, new: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the errors that only the new model makes, and those that only the old one makes.

    Those come first of which the model that errs is surest.

    Args:
        old: one row for each image that the old model misclassifies, with columns image and
            probability.
        new: likewise for the new model.
    """
    broken, fixed = (
        one[~one["image"].isin(other["image"])].sort_values(
            ["probability", "image"], ascending=[False, True]
        )
        for one, other in ((new, old), (old, new))
    )
    return broken, fixed


def _compare_stage(name: str, before: LockedStage, after: LockedStage) -> StageChange:
    deps = _differing(_digests(before.deps), _digests(after.deps))
    code = [path for path in deps if Path(path).is_relative_to(CODE)]
    data = [path for path in deps if Path(path).is_relative_to(RAW)]
    return StageChange(
        stage=name,
        params=_differing(_all_params(before), _all_params(after)),
        command=[str(after.cmd)] if before.cmd != after.cmd else [],
        code=code,
        data=data,
        upstream=[path for path in deps if path not in {*code, *data}],
        outputs=_differing(_digests(before.outs), _digests(after.outs)),
    )


def _all_params(locked: LockedStage) -> dict[str, object]:
    flat = (locked.flat_params(Path(path)) for path in locked.params)
    return {name: value for params in flat for name, value in params.items()}


def _digests(locked: list[LockedFile]) -> dict[str, str]:
    return {file.path: file.md5 for file in locked}


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    names = {**before, **after}
    return [name for name in names if before.get(name, ABSENT) != after.get(name, ABSENT)]


def _read_lock(revision: Revision) -> list[Pin]:
    paths = (revision.folder / name for name in (PACKAGES, FORMER_PACKAGES))
    text = next((path.read_text(encoding="utf-8") for path in paths if path.is_file()), "")
    return parse_lock(text)
