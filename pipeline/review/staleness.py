"""Whether `dvc.lock` is what the params, code and data beside it give, and metrics what it has.

`dvc status` answers it for the working tree, given all outputs. A reviewer, or a fork without a
DVC remote, has only what is in Git: enough for the hashes of all that goes in, and of the metrics.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.core import files
from pipeline.core.declared_params import find_value, names_by_file
from pipeline.core.params import PARAMS
from pipeline.data.checksums import read_checksums
from pipeline.provenance.git import tracked
from pipeline.provenance.origin import parse_yaml
from pipeline.provenance.paths import CODE, LOCK, METRICS, STAGES
from pipeline.provenance.results import kept_in_git
from pipeline.review.revision import DeclaredStage, LockedStage, Revision


def find_stale(revision: Revision) -> list[str]:
    """Say for each input in what it differs from `dvc.lock`: somebody forgot `dvc repro`."""
    faults: list[str] = []
    for name, declared in revision.declared.items():
        locked = revision.stages.get(name)
        if locked is None:
            faults.append(f"{LOCK} has no stage {name}")
        else:
            faults += _compare_declared(name, declared, locked, revision)
            faults += _compare_params(declared, locked, revision)
            faults += _compare_files(locked, revision)
    return list(dict.fromkeys(faults))  # several stages may depend on one file


def find_edited(revision: Revision) -> list[str]:
    """Say which metrics in Git differ from `dvc.lock`: edited by hand, or half committed."""
    in_git = kept_in_git(
        item
        for declared in revision.declared.values()
        for item in (*declared.outs, *declared.metrics, *declared.plots)
    )
    return [
        f"{path} is not what {LOCK} has"
        for path, md5 in revision.made.items()
        if path in in_git or (METRICS in Path(path).parents and (revision.folder / path).exists())
        if digest(revision.folder, path) != md5
    ]


def digest(root: Path, path: str | Path) -> str | None:
    """Return the MD5 that DVC has for a file or folder, or None where there is none.

    That of a folder is the MD5 of a JSON list of its files and theirs, with `.dir` at its end.

    Args:
        root: the folder that has the whole state.
        path: below it.
    """
    here = root / path
    pointer = here.with_name(f"{here.name}.dvc")
    if pointer.is_file():  # what `dvc add` keeps out of Git
        outs = parse_yaml(pointer.read_text(encoding="utf-8")).get("outs") or [{}]
        return str(outs[0].get("md5"))
    if here.is_file():
        return files.md5(here)
    if not here.is_dir():
        return None
    md5s = read_checksums(here)  # of what is not in Git
    found = _list_folder(root, Path(path))
    md5s |= {file.relative_to(here).as_posix(): files.md5(file) for file in found}
    listed = [{"md5": md5, "relpath": name} for name, md5 in md5s.items()]
    listed.sort(key=lambda entry: entry["relpath"])
    text = json.dumps(listed, sort_keys=True)
    return f"{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}.dir"


def _list_folder(root: Path, path: Path) -> list[Path]:
    """Return the files that DVC counts; of code, those that a clone would have."""
    if root == Path() and path.is_relative_to(CODE):
        return sorted({*tracked(path)} & {*files.list_files([path])})
    return files.list_files([root / path], root)


def flatten_locked(locked: LockedStage, path: Path = PARAMS) -> dict[str, object]:
    """Return the params of a file that `dvc.lock` has for a stage, by their dotted names."""
    flat: dict[str, object] = {}
    for name, value in locked.params.get(str(path), {}).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": item for key, item in value.items()}
        else:
            flat[name] = value
    return flat


def _compare_declared(
    name: str, declared: DeclaredStage, locked: LockedStage, revision: Revision
) -> Iterator[str]:
    """Yield what `dvc.yaml` declares and `dvc.lock` does not have."""
    if declared.cmd != locked.cmd:
        yield f"the command of stage {name} is another one than in {LOCK}"
    deps = [
        re.sub(r"\$\{([\w.]+)\}", lambda m: str(revision.params.get(m[1])), path)
        for path in declared.deps
    ]
    params = names_by_file(declared.params)
    parts = (
        ("depends on", deps, {dep.path for dep in locked.deps}),
        *(("uses", names, locked.params.get(path, {}).keys()) for path, names in params.items()),
        (
            "makes",
            _names((*declared.outs, *declared.metrics, *declared.plots)),
            {out.path for out in locked.outs},
        ),
    )
    for verb, wanted, known in parts:
        for item in wanted:
            if item not in known:
                yield f"{STAGES}: stage {name} {verb} {item}, which {LOCK} does not have"


def _names(items: Sequence[str | dict[str, object]]) -> list[str]:
    return [name for item in items for name in ([item] if isinstance(item, str) else item)]


def _compare_params(
    declared: DeclaredStage, locked: LockedStage, revision: Revision
) -> Iterator[str]:
    """Yield where params differ from those that a stage was run with."""
    sections = names_by_file(declared.params).get(str(PARAMS), [])
    used = flatten_locked(locked)
    for name in revision.params:
        if name not in used and name.partition(".")[0] in sections:
            yield f"{PARAMS}: {name} is not in {LOCK}"
    for path, params in locked.params.items():
        if path == str(PARAMS):
            wanted, present = used, revision.params
        else:
            values = _read_yaml(revision.folder / path)
            wanted, present = params, {name: find_value(values, name) for name in params}
        for name, value in wanted.items():
            if present.get(name) != value:
                yield f"{path}: {name} is {present.get(name)}, but {value} in {LOCK}"


def _read_yaml(path: Path) -> dict[str, Any]:
    return parse_yaml(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _compare_files(locked: LockedStage, revision: Revision) -> Iterator[str]:
    """Yield where what a stage depends on differs from what it was run with."""
    made = revision.made
    for dep in locked.deps:
        if dep.path in made:
            if made[dep.path] != dep.md5:
                yield f"{dep.path} is not the one that its stage has made"
        elif (found := digest(revision.folder, dep.path)) != dep.md5:
            what = "is missing" if found is None else f"is not what {LOCK} has"
            yield f"{dep.path} {what}"
