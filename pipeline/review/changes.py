"""What was changed between two states: params, stages and why they ran, packages."""

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.paths import RAW
from pipeline.review.revision import CODE, REQUIREMENTS, Revision
from pipeline.review.staleness import flatten_locked

PACKAGES = ("tensorflow", "keras")
ABSENT = "absent"


@dataclass(frozen=True)
class StageChange:
    """Why a stage ran again, and what came of it; both empty where it did not.

    Attributes:
        stage: its name.
        params: those that were changed, by their dotted names.
        code: modules that were changed.
        data: raw data that was changed.
        upstream: outputs of earlier stages that were changed.
        outputs: its own outputs that were changed.
    """

    stage: str
    params: list[str]
    code: list[str]
    data: list[str]
    upstream: list[str]
    outputs: list[str]


def changed_params(old: Revision, new: Revision) -> list[tuple[str, object, object]]:
    """Return name, old and new value of each param that differs."""
    return [
        (name, old.params.get(name, ABSENT), new.params.get(name, ABSENT))
        for name in {**old.params, **new.params}
        if old.params.get(name, ABSENT) != new.params.get(name, ABSENT)
    ]


def changed_stages(old: Revision, new: Revision) -> list[StageChange]:
    """Compare what `dvc.lock` has of each stage."""
    return [_compare_stage(stage, old, new) for stage in {**old.stages, **new.stages}]


def changed_packages(old: Revision, new: Revision) -> list[tuple[str, str, str]]:
    """Return name, old and new version of the packages in the lock that can change every bit."""
    versions = [_locked_versions(revision.folder / REQUIREMENTS) for revision in (old, new)]
    before, after = ([found.get(name, ABSENT) for name in PACKAGES] for found in versions)
    return [
        change for change in zip(PACKAGES, before, after, strict=True) if change[1] != change[2]
    ]


def _compare_stage(stage: str, old: Revision, new: Revision) -> StageChange:
    before, after = old.stages.get(stage, {}), new.stages.get(stage, {})
    params = [flatten_locked(entry) for entry in (before, after)]
    deps = _differing(*(_digests(entry, "deps") for entry in (before, after)))
    code = [path for path in deps if Path(path).is_relative_to(CODE)]
    data = [path for path in deps if Path(path).is_relative_to(RAW)]
    return StageChange(
        stage=stage,
        params=_differing(*params),
        code=code,
        data=data,
        upstream=[path for path in deps if path not in {*code, *data}],
        outputs=_differing(*(_digests(entry, "outs") for entry in (before, after))),
    )


def _digests(entry: dict[str, list[dict[str, str]]], kind: str) -> dict[str, object]:
    return {item["path"]: item.get("md5") for item in entry.get(kind) or []}


def _differing(before: dict[str, object], after: dict[str, object]) -> list[str]:
    names = {**before, **after}
    return [name for name in names if before.get(name, ABSENT) != after.get(name, ABSENT)]


def _locked_versions(path: Path) -> dict[str, str]:
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE))
