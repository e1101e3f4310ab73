"""What a stage declares in `dvc.yaml`, compared with what its code uses."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.check.declarations import OUTPUTS, names_of
from pipeline.core.declared_params import names_by_file
from pipeline.core.params import PARAMS
from pipeline.provenance.paths import CODE, STAGES
from pipeline.provenance.results import kept_in_git

FOLDERS = {"core", "data", "model", "training", "evaluation", "figures"}  # others: module by module
PUBLISH = f"{CODE}.publish"
LIGHT = {"__init__.py", "params.py", "paths.py"}  # what one package reads of another


class Fault(NamedTuple):
    """A line to say, and the entry to add to a list of a stage, if that is what is wrong."""

    text: str
    stage: str = ""
    kind: str = ""
    entry: str | dict[str, list[str]] = ""


def compare_code(name: str, entry: Mapping[str, Any], used: set[str]) -> Iterator[Fault]:
    """Yield modules that a stage imports and does not declare, and what it declares in vain."""
    declared = [dep for dep in names_of(entry, "deps") if is_within(dep, str(CODE))]
    undeclared = {path for path in used if not any(is_within(path, dep) for dep in declared)}
    folders: dict[str, set[str]] = {}
    for path in undeclared:
        folders.setdefault(str(Path(path).parent), set()).add(path)
    for folder, paths in sorted(folders.items()):
        single = Path(folder).name not in FOLDERS or all(Path(p).name in LIGHT for p in paths)
        single = single or any(Path(dep).parent == Path(folder) for dep in declared)
        for missing in sorted(paths) if single else [folder]:
            example = min(path for path in paths if is_within(path, missing))
            text = f"{STAGES}: {name} imports {example}: add {missing} to deps"
            yield Fault(text, name, "deps", missing)
    for dep in declared:
        if not any(is_within(path, dep) for path in used):
            yield Fault(f"{STAGES}: {name} does not import {dep}: remove it from deps")


def compare_params(
    name: str, entry: Mapping[str, Any], used: Mapping[str, set[str]]
) -> Iterator[Fault]:
    """Yield params that a stage reads and does not declare, and the reverse."""
    declared = names_by_file(entry.get("params", []))
    for path in sorted({*declared, *used}):
        here, there = used.get(path, set()), {*declared.get(path, [])}
        for param in sorted(here - there):
            missing = param if path == str(PARAMS) else {path: [param]}
            text = f"{STAGES}: {name} uses {param} of {path}: add it to params"
            yield Fault(text, name, "params", missing)
        for param in sorted(there - here):
            yield Fault(f"{STAGES}: {name} does not use {param} of {path}: remove it from params")


def find_unpublished(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, set[str]]:
    """Return, by the stage that publishes, the results that may be made after it.

    They are those of stages whose outputs no other stage depends on.
    """
    publishing = [name for name, entry in stages.items() if PUBLISH in str(entry.get("cmd", ""))]
    others = {name: entry for name, entry in stages.items() if name not in publishing}
    needed = {dep for entry in others.values() for dep in names_of(entry, "deps")}
    last = [entry for entry in others.values() if needed.isdisjoint(names_of(entry, *OUTPUTS))]
    kept = {path for entry in last for kind in OUTPUTS for path in kept_in_git(entry.get(kind, []))}
    return dict.fromkeys(publishing, kept)


def compare_published(
    name: str, entry: Mapping[str, Any], results: Iterable[str]
) -> Iterator[Fault]:
    """Yield results that a stage publishes and might not wait for."""
    for path in sorted({*results} - {*names_of(entry, "deps")}):
        yield Fault(f"{STAGES}: {name} publishes {path}: add it to deps", name, "deps", path)


def find_cached_metrics(name: str, entry: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield metrics that neither a reviewer nor MLflow would get, as they are not in Git."""
    kept = kept_in_git(entry.get("metrics", []))
    for path in names_of(entry, "metrics"):
        if path not in kept:
            yield Fault(
                f"{STAGES}: {name} leaves {path} to DVC's cache: declare it with `cache: false`, "
                "and Git, MLflow and reports have it"
            )


def compare_paths(
    name: str, entry: Mapping[str, Any], used: set[str], made: set[str], published: set[str]
) -> Iterator[Fault]:
    """Yield files that a stage's main names and `dvc.yaml` does not, and the reverse.

    What it publishes need not be named.
    """
    declared = {
        path for path in names_of(entry, "deps", *OUTPUTS) if not is_within(path, str(CODE))
    }
    known = {re.sub(r"/?\$\{.*", "", path) for path in declared}  # of a folder named by a param
    for path in sorted(used - known):
        text = f"{STAGES}: {name} names {path} in main: add it to"
        if path in made:
            yield Fault(f"{text} deps", name, "deps", path)
        else:  # whether it is read or written, and kept in Git or not, only a person can tell
            yield Fault(f"{text} deps, outs, metrics or plots")
    for path in sorted(known - used - published - {""}):
        yield Fault(f"{STAGES}: {name} does not name {path} in main: remove it, or add it there")


def find_unknown(name: str, entry: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield a fault for a stage that depends on the package, but runs none of its modules."""
    if any(is_within(dep, str(CODE)) for dep in names_of(entry, "deps")):
        yield Fault(f"{STAGES}: {name} runs no `python -m {CODE}...`, so nothing can be compared")


def is_within(path: str, folder: str) -> bool:
    """Tell whether a path is a folder, or lies in it."""
    return Path(path).is_relative_to(folder)
