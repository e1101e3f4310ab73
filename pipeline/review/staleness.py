"""Whether `dvc.lock` is what the params, code and data beside it give, and metrics what it has.

`dvc status` answers it for the working tree, given all outputs. A reviewer, or a fork without a
DVC remote, has only what is in Git: enough for the hashes of all that goes in, and of the metrics.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.paths import PARAMS
from pipeline.review.revision import LOCK, STAGES, Revision
from pipeline.tracking.origin import parse_yaml


def find_stale(revision: Revision) -> list[str]:
    """Say for each input in what it differs from `dvc.lock`: somebody forgot `dvc repro`."""
    declared = _read_stages(revision)
    made_by = {
        out["path"]: (stage, out.get("md5"))
        for stage, entry in revision.stages.items()
        for out in entry.get("outs") or []
    }
    faults: list[str] = []
    for stage, definition in declared.items():
        entry = revision.stages.get(stage)
        if entry is None:
            faults.append(f"{LOCK} has no stage {stage}")
            continue
        faults += _changed_params(revision, entry)
        if entry.get("cmd") != definition.get("cmd"):
            faults.append(f"the command of stage {stage} is another one than in {LOCK}")
        locked = {dep["path"]: dep.get("md5") for dep in entry.get("deps") or []}
        for path in _resolve(definition.get("deps") or [], revision.params):
            if path not in locked:
                faults.append(f"stage {stage} depends on {path}, which {LOCK} does not have")
        for path, md5 in locked.items():
            if path in made_by:
                producer, made = made_by[path]
                if made != md5:
                    faults.append(f"{path} is not the one that stage {producer} has made")
            elif (found := digest(revision.folder / path)) != md5:
                what = "is missing" if found is None else f"is not what {LOCK} has"
                faults.append(f"{path} {what}")
    return list(dict.fromkeys(faults))  # several stages may depend on one file


def find_edited(revision: Revision) -> list[str]:
    """Say which outputs that are in Git differ from `dvc.lock`: edited, or half committed."""
    return [
        f"{path} is not what {LOCK} has"
        for path, md5 in _outputs_in_git(revision)
        if digest(revision.folder / path) != md5
    ]


def digest(path: Path) -> str | None:
    """Return the MD5 that DVC has for a file or folder, or None where there is none.

    That of a folder is the MD5 of a JSON list of its files and theirs, with `.dir` at its end.
    """
    pointer = path.with_name(f"{path.name}.dvc")
    if pointer.is_file():  # what `dvc add` keeps out of Git
        outs = parse_yaml(pointer.read_text(encoding="utf-8")).get("outs") or [{}]
        md5: str | None = outs[0].get("md5")
        return md5
    if path.is_file():
        return files.md5(path)
    if not path.is_dir():
        return None
    listed = [
        {"md5": files.md5(file), "relpath": file.relative_to(path).as_posix()}
        for file in path.rglob("*")
        if file.is_file() and file.name != ".DS_Store"  # as .dvcignore has it
    ]
    listed.sort(key=lambda entry: entry["relpath"])
    text = json.dumps(listed, sort_keys=True)
    return f"{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}.dir"


def _read_stages(revision: Revision) -> dict[str, Any]:
    path = revision.folder / STAGES
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return parse_yaml(text).get("stages") or {}


def _resolve(paths: list[str], params: Mapping[str, object]) -> Iterator[str]:
    """Put params into paths such as `data/raw/${prepare.dataset}`."""
    for path in paths:
        yield re.sub(r"\$\{([\w.]+)\}", lambda match: str(params.get(match[1])), path)


def _changed_params(revision: Revision, entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield where params differ from what `dvc.lock` has for a stage."""
    locked = flatten_locked(entry)
    for name, value in locked.items():
        present = revision.params.get(name)
        if present != value:
            yield f"{PARAMS}: {name} is {present}, and {value} in {LOCK}"
    sections = {name.partition(".")[0] for name in locked}
    whole = sections & set((entry.get("params") or {}).get(str(PARAMS)) or {})
    for name in revision.params:
        if name not in locked and name.partition(".")[0] in whole:
            yield f"{PARAMS}: {name} is not in {LOCK}"


def flatten_locked(entry: Mapping[str, Any]) -> dict[str, object]:
    """Return the params that `dvc.lock` has for a stage by their dotted names."""
    flat: dict[str, object] = {}
    for name, value in ((entry.get("params") or {}).get(str(PARAMS)) or {}).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": item for key, item in value.items()}
        else:
            flat[name] = value
    return flat


def _outputs_in_git(revision: Revision) -> Iterator[tuple[str, str]]:
    uncached = {
        path
        for definition in _read_stages(revision).values()
        for kind in ("outs", "metrics", "plots")
        for item in definition.get(kind) or []
        if isinstance(item, dict)
        for path, options in item.items()
        if isinstance(options, dict) and options.get("cache") is False
    }
    for entry in revision.stages.values():
        for out in entry.get("outs") or []:
            if out["path"] in uncached:
                yield out["path"], out.get("md5", "")
