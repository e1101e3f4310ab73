"""Compare what `dvc.yaml` declares with what the code of the stages uses.

Undeclared code, params or files go stale in silence: `dvc repro` does not notice that they changed.
What people edit is checked as well: params.yaml, experiments.yaml. Exit code 1 where anything is
wrong.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.core import files, params_file, stage
from pipeline.core.errors import ParamsError, PipelineError
from pipeline.core.package import command
from pipeline.core.params import PARAMS
from pipeline.data.dataset import read_dataset
from pipeline.data.paths import RAW
from pipeline.experiments.definitions import EXPERIMENTS, read_experiments
from pipeline.model.memory import machine_bytes, require_room
from pipeline.provenance.comparison import (
    Fault,
    compare_code,
    compare_params,
    compare_paths,
    compare_published,
    find_unknown,
    find_unpublished,
    is_within,
)
from pipeline.provenance.declarations import (
    OUTPUTS,
    build_graph,
    find_used,
    names_of,
)
from pipeline.provenance.git import is_in_repository, untracked_files
from pipeline.provenance.packages import parse_lock
from pipeline.provenance.params import load_params
from pipeline.provenance.params_page import PAGE, build_page
from pipeline.provenance.paths import CODE, PACKAGES, STAGES, VERSIONS

FIX = f"`{command('check', '--fix')}` writes what is missing"


def find_faults(only_stages: bool) -> list[Fault]:
    """Return all that is wrong, here and now; if asked, only with what a run depends on."""
    listed = params_file.read_mapping(STAGES).get("stages", {})
    stages = {name: entry.get("do", entry) for name, entry in listed.items()}
    graph = build_graph()
    made = {path for entry in stages.values() for path in names_of(entry, *OUTPUTS)}
    unpublished = find_unpublished(stages)
    faults = [*_find_refused(), *_find_outside_packages()]
    imported: set[str] = set()
    if only_stages:
        faults += _find_misfit()
    else:
        faults += _find_refused_experiments()
        faults += _find_outdated()
    for name, entry in stages.items():
        try:
            used = find_used(graph, entry)
        except PipelineError as error:
            faults.append(Fault(str(error)))
            continue
        imported |= used.modules
        if not used.modules:
            faults += find_unknown(name, entry)
            continue
        faults += compare_code(name, entry, used.modules)
        faults += compare_params(name, entry, used.params)
        published = unpublished.get(name, set())
        faults += compare_published(name, entry, published)
        faults += compare_paths(name, entry, used.paths, made, published)
    if not only_stages and not faults:  # else it may follow from another
        faults += _find_unused(stages.values(), imported)
    return [*faults, *_find_untracked(stages.values())]


def write_missing(faults: Iterable[Fault]) -> None:
    """Add to `dvc.yaml` what the faults say is missing, and renew what is made from other files."""
    missing = list(faults)
    for path, text in ((path, text) for path, text in _made() if path.exists()):
        if any(fault.kind == str(path) for fault in missing):
            files.write_text(path, text)
    if not any(fault.stage for fault in missing):
        return
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 120, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(STAGES)
    for fault in missing:
        if fault.stage:
            _add(document["stages"][fault.stage].setdefault(fault.kind, []), fault.entry)
    with files.replacing(STAGES) as partial:
        yaml.dump(document, partial)


def _add(entries: list[Any], entry: str | dict[str, list[str]]) -> None:
    if isinstance(entry, str):  # where an alphabetical list has its place for it
        place = sum(isinstance(one, str) and one < entry for one in entries)
        entries.insert(place, entry)
        return
    for path, names in entry.items():
        for one in entries:
            if isinstance(one, dict) and path in one:
                one[path] += names
                return
        entries.append({path: names})


def _find_refused() -> Iterator[Fault]:
    """Yield what is wrong with the files that people edit."""
    try:
        load_params()
    except ParamsError as error:
        yield from map(Fault, str(error).splitlines())


def _find_misfit() -> Iterator[Fault]:
    """Yield what is wrong with a network that the raw images, or this machine, do not allow."""
    try:
        params = load_params()
        raw = read_dataset(RAW / params.prepare.dataset, params.prepare.image_size)
        height, width, channels = raw.train.read(0, 1).images.shape[1:]
        batch_size = min(params.train.batch_size, params.prepare.train_samples)
        require_room(
            params.model,
            (height, width, channels),
            len(raw.classes),
            batch_size // params.train.workers,
            machine_bytes(),
        )
    except PipelineError:
        return  # of params, which were checked before, or of data, which stage `prepare` checks
    except ValueError as error:
        yield Fault(f"{PARAMS}: {error}")


def _find_refused_experiments() -> Iterator[Fault]:
    try:
        if EXPERIMENTS.exists():
            read_experiments()
    except ParamsError as error:
        yield from map(Fault, str(error).splitlines())


def _made() -> Iterator[tuple[Path, str]]:
    """Yield the files that are made from others, with what they are to hold."""
    yield PAGE, build_page()
    if PACKAGES.exists():
        locked = {pin.name: pin.version for pin in parse_lock(PACKAGES.read_text(encoding="utf-8"))}
        versions = params_file.read_mapping(VERSIONS)
        yield VERSIONS, "".join(f"{name}: '{locked.get(name)}'\n" for name in versions)


def _find_outdated() -> Iterator[Fault]:
    sources = {PAGE: "the schemas of the params say", VERSIONS: f"{PACKAGES} has"}
    for path, text in _made():
        if path.exists() and path.read_text(encoding="utf-8") != text:
            yield Fault(f"{path} is not what {sources[path]}", kind=str(path))


def _find_outside_packages() -> Iterator[Fault]:
    """Yield the folders of modules that no import would be followed into."""
    for folder in sorted({path.parent for path in CODE.rglob("*.py")}):
        if not (folder / "__init__.py").exists() and not folder.name.startswith("."):
            yield Fault(f"{folder} has no __init__.py, so what it imports cannot be followed")


def _find_code(entries: Iterable[Mapping[str, Any]]) -> list[Path]:
    """Return the modules and folders of code that stages depend on."""
    deps = {Path(dep) for entry in entries for dep in names_of(entry, "deps")}
    return sorted(dep for dep in deps if is_within(str(dep), str(CODE)))


def _find_unused(entries: Iterable[Mapping[str, Any]], imported: set[str]) -> Iterator[Fault]:
    """Yield the modules in those folders that no stage imports: an entry was forgotten."""
    for path in map(str, files.list_files(_find_code(entries))):
        if path.endswith(".py") and path not in imported:
            yield Fault(
                f"{path}: no stage imports it, but {STAGES} depends on its folder: is its entry "
                "missing (of a figure, a reader, ...)? Else move it away"
            )


def _find_untracked(entries: Iterable[Mapping[str, Any]]) -> Iterator[Fault]:
    """Yield the files in folders of code that DVC counts, but a clone would not have."""
    if not is_in_repository():
        return  # the files of a commit, laid out for a report
    for path in untracked_files(*map(str, _find_code(entries))):
        yield Fault(f"{path} is not in Git, but {STAGES} depends on its folder: `git add` it")


def main() -> None:
    """Say what is wrong; with --fix, write what is missing before."""
    parser = argparse.ArgumentParser(prog=command("check"), description=__doc__)
    parser.add_argument(
        "--fix", action="store_true", help="write what is missing into dvc.yaml, and docs/params.md"
    )
    parser.add_argument(
        "--stages", action="store_true", help="check only what a run of the stages depends on"
    )
    arguments = parser.parse_args()
    faults = find_faults(arguments.stages)
    missing = [fault for fault in faults if fault.kind]
    if arguments.fix and missing:
        write_missing(missing)
        print("\n".join(f"{fault.text}: done" for fault in missing))
        faults = find_faults(arguments.stages)
    for fault in faults:
        print(fault.text)
    if any(fault.kind for fault in faults):
        print(FIX)
    sys.exit(bool(faults))


if __name__ == "__main__":
    stage.run(main)
