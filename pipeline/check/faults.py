"""All that is wrong with what `dvc.yaml` declares, and with what people edit."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.check.comparison import (
    Fault,
    compare_code,
    compare_params,
    compare_paths,
    compare_published,
    find_cached_metrics,
    find_unknown,
    find_unpublished,
    is_within,
)
from pipeline.check.declarations import OUTPUTS, build_graph, find_used, names_of
from pipeline.check.fix import made_files
from pipeline.check.unused import find_unlisted_stages, find_unused_names
from pipeline.core import files, params_file
from pipeline.core.errors import ParamsError, PipelineError
from pipeline.core.params import PARAMS
from pipeline.data.dataset import read_dataset
from pipeline.data.paths import RAW
from pipeline.experiments.definitions import EXPERIMENTS, read_experiments
from pipeline.model.memory import machine_bytes, require_room
from pipeline.provenance.git import is_in_repository, untracked_files
from pipeline.provenance.params import load_params
from pipeline.provenance.params_page import PAGE
from pipeline.provenance.paths import CODE, PACKAGES, STAGES, VERSIONS
from pipeline.training.engine import require_engine


def find_faults(only_stages: bool) -> list[Fault]:
    """Return all that is wrong, here and now; if asked, only with what a run depends on."""
    listed = params_file.read_mapping(STAGES).get("stages", {})
    stages = {name: entry.get("do", entry) for name, entry in listed.items()}
    graph = build_graph()
    made = {path for entry in stages.values() for path in names_of(entry, *OUTPUTS)}
    unpublished = find_unpublished(stages)
    faults = [*_find_refused(load_params), *_find_outside_packages()]
    imported: set[str] = set()
    if only_stages:
        faults += _find_misfit()
        faults += _find_lacking_engine()
    else:
        if EXPERIMENTS.exists():
            faults += _find_refused(read_experiments)
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
        faults += find_cached_metrics(name, entry)
        published = unpublished.get(name, set())
        faults += compare_published(name, entry, published)
        faults += compare_paths(name, entry, used.paths, made, published)
    if not only_stages and not faults:  # otherwise it may follow from another
        faults += _find_unused(stages.values(), imported)
        faults += find_unused_names(imported)
        faults += find_unlisted_stages(imported)
    return [*faults, *_find_untracked(stages.values())]


def _find_refused(read: Callable[[], object]) -> Iterator[Fault]:
    """Yield what is wrong with a file that people edit."""
    try:
        read()
    except ParamsError as error:
        yield from map(Fault, str(error).splitlines())


def _find_misfit() -> Iterator[Fault]:
    """Yield what is wrong with a network that the raw images, or this machine, do not allow."""
    try:
        params = load_params()
        chosen = params.prepare
        raw = read_dataset(RAW / chosen.dataset, chosen.image_size, chosen.test_fraction)
        height, width, channels = raw.train.read(0, 1).images.shape[1:]
        batch_size = params.train.batch_size
        if chosen.train_samples != "all":
            batch_size = min(batch_size, chosen.train_samples)
        require_room(
            params.model,
            (height, width, channels),
            len(raw.classes),
            batch_size // params.train.workers,
            machine_bytes(),
            params.train.precision,
        )
    except PipelineError:
        return  # of params, which were checked before, or of data, which stage `prepare` checks
    except ValueError as error:
        yield Fault(f"{PARAMS}: {error}")


def _find_lacking_engine() -> Iterator[Fault]:
    """Yield why more than one worker could not train: once `train` runs, its outputs are gone."""
    with suppress(ParamsError):  # which was said before
        workers = load_params().train.workers
        try:
            require_engine(workers)
        except PipelineError as error:
            yield Fault(str(error))


def _find_outdated() -> Iterator[Fault]:
    sources = {PAGE: "the schemas of the params say", VERSIONS: f"{PACKAGES} has"}
    for path, text in made_files().items():
        if path.read_text(encoding="utf-8") != text:
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
                "missing (of a figure, a reader, ...)? Otherwise move it away"
            )


def _find_untracked(entries: Iterable[Mapping[str, Any]]) -> Iterator[Fault]:
    """Yield the files in folders of code that DVC counts, but a clone would not have."""
    if not is_in_repository():
        return  # the files of a commit, laid out for a report
    for path in untracked_files(*map(str, _find_code(entries))):
        yield Fault(f"{path} is not in Git, but {STAGES} depends on its folder: `git add` it")
