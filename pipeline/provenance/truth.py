"""Whether a state is true: each stage was run with the params, data and code noted for it.

`dvc status` answers it for the working tree, given all outputs. A reviewer, or a fork without a
DVC remote, has only what is in Git: enough for the hashes of all that goes in, and of the metrics.
And DVC can be talked into more: it leaves a frozen stage alone, runs single ones, and notes with
`dvc commit` whatever lies there.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.declared_params import find_value, names_by_file
from pipeline.core.errors import DataError
from pipeline.core.params import PARAMS
from pipeline.provenance.cached_files import digest
from pipeline.provenance.origin import parse_yaml
from pipeline.provenance.paths import LOCK, METRICS, STAGES
from pipeline.provenance.recorded import DeclaredStage, LockedStage, Recorded
from pipeline.provenance.results import kept_in_git
from pipeline.provenance.state import STATE_ID, is_neutral


class FalseStateError(DataError):
    """What lies there was never made by the stages as they are noted; the message says why."""

    def __init__(self, faults: Sequence[str], state_id: str) -> None:
        """Keep the id, by which there may be a run."""
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(f"not a true state: {faults[0]}{more}")
        self.state_id = state_id


def require_true(
    recorded: Recorded, *, running: str = "", cloned: bool = True, whole: bool = True
) -> None:
    """Check that a state is true; the arguments are those of `find_false`.

    Raises:
        FalseStateError: it is not.
    """
    faults = find_false(recorded, running=running, cloned=cloned, whole=whole)
    if faults:
        raise FalseStateError(faults, recorded.state_id)


def find_false(
    recorded: Recorded, *, running: str = "", cloned: bool = True, whole: bool = True
) -> list[str]:
    """Say why a state is not true, or nothing where all that Git has belongs together.

    Args:
        recorded: what was declared and what was run.
        running: the stage that is running, which is not noted yet: those before it count.
        cloned: whether code counts as a clone would have it; otherwise as DVC counts it, with
            files that Git does not know.
        whole: whether data that is not there is a fault; an experiment may have had it from
            outside Git.
    """
    stages = _before(recorded, running) if running in recorded.declared else [*recorded.declared]
    faults = [
        f"stage {name} is frozen: `dvc unfreeze {name}`, and `dvc repro` runs what is out of date"
        for name in stages
        if recorded.declared[name].frozen
    ]
    for name in stages:
        declared, locked = recorded.declared[name], recorded.stages.get(name)
        if locked is None:
            faults.append(f"{LOCK} has no stage {name}")
        else:
            faults += _compare_declared(name, declared, locked, recorded)
            faults += _compare_params(declared, locked, recorded)
            faults += _compare_files(locked, recorded, cloned, whole)
    if not running and not faults and _is_of_another_state(recorded):
        faults.append(f"{LOCK} has params and outputs together that no `dvc repro` has made so")
    return list(dict.fromkeys(faults))  # several stages may depend on one file


def _is_of_another_state(recorded: Recorded) -> bool:
    """Tell whether the id that stage `plot` has written is not that of what the lock has."""
    noted, state_id = recorded.made.get(str(STATE_ID)), recorded.state_id
    md5 = hashlib.md5(f"{state_id}\n".encode(), usedforsecurity=False).hexdigest()
    return bool(noted and state_id) and noted != md5


def _before(recorded: Recorded, name: str) -> list[str]:
    """Return the stages whose outputs a stage depends on, directly or not."""
    makers = {out: maker for maker, stage in recorded.declared.items() for out in stage.outputs}
    found: list[str] = []
    waiting = [name]
    while waiting:
        deps = recorded.declared[waiting.pop()].deps
        new = {makers[dep] for dep in deps if dep in makers}.difference(found)
        found += sorted(new)
        waiting += new
    return found


def find_edited(recorded: Recorded) -> list[str]:
    """Say which metrics in Git differ from `dvc.lock`: edited by hand, or half committed."""
    in_git = kept_in_git(
        item
        for declared in recorded.declared.values()
        for item in (*declared.outs, *declared.metrics, *declared.plots)
    )
    return [
        f"{path} is not what {LOCK} has"
        for path, md5 in recorded.made.items()
        if path in in_git or (METRICS in Path(path).parents and (recorded.folder / path).exists())
        if digest(recorded.folder, path) != md5
    ]


def _compare_declared(
    name: str, declared: DeclaredStage, locked: LockedStage, recorded: Recorded
) -> Iterator[str]:
    """Yield what `dvc.yaml` declares and `dvc.lock` does not have."""
    if declared.cmd != locked.cmd:
        yield f"the command of stage {name} is another one than in {LOCK}"
    deps = [
        re.sub(r"\$\{([\w.]+)\}", lambda m: str(recorded.params.get(m[1])), path)
        for path in declared.deps
    ]
    params = names_by_file(declared.params)
    parts = (
        ("depends on", deps, {dep.path for dep in locked.deps}),
        *(("uses", names, locked.params.get(path, {}).keys()) for path, names in params.items()),
        ("makes", declared.outputs, {out.path for out in locked.outs}),
    )
    for verb, wanted, known in parts:
        for item in wanted:
            if item not in known:
                yield f"{STAGES}: stage {name} {verb} {item}, which {LOCK} does not have"


def _compare_params(
    declared: DeclaredStage, locked: LockedStage, recorded: Recorded
) -> Iterator[str]:
    """Yield where params differ from those that a stage was run with."""
    sections = names_by_file(declared.params).get(str(PARAMS), [])
    used = locked.flat_params()
    for name, value in recorded.params.items():
        if name not in used and name.partition(".")[0] in sections and not is_neutral(name, value):
            yield f"{PARAMS}: {name} is not in {LOCK}"
    for path, params in locked.params.items():
        if path == str(PARAMS):
            wanted, present = used, recorded.params
        else:
            values = _read_yaml(recorded.folder / path)
            wanted, present = params, {name: find_value(values, name) for name in params}
        for name, value in wanted.items():
            if present.get(name) != value:
                yield f"{path}: {name} is {present.get(name)}, but {value} in {LOCK}"


def _read_yaml(path: Path) -> dict[str, Any]:
    return parse_yaml(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _compare_files(
    locked: LockedStage, recorded: Recorded, cloned: bool, whole: bool
) -> Iterator[str]:
    """Yield where what a stage depends on differs from what it was run with."""
    made = recorded.made
    for dep in locked.deps:
        if dep.path in made:
            if made[dep.path] != dep.md5:
                yield f"{dep.path} is not the one that its stage has made"
            continue
        found = digest(recorded.folder, dep.path, cloned=cloned)
        if found is None and whole:
            yield f"{dep.path} is missing"
        elif found not in {None, dep.md5}:
            yield f"{dep.path} is not what {LOCK} has"
