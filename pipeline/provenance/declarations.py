"""What `dvc.yaml` declares of a stage, and what the code of the stage uses.

Imports are followed as grimp finds them, also those in functions; the params and files of a stage
are the defaults of its `main`.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import grimp

from pipeline.core import params_file
from pipeline.core.errors import PipelineError
from pipeline.core.params import PARAMS, Sections
from pipeline.provenance.paths import CODE, VERSIONS
from pipeline.provenance.state import StateSections

# None of these can change an output: MLflow is a view, and the check of all params only refuses.
EXCEPTED = tuple(f"{CODE}.{name}" for name in ("tracking", "publish", "provenance.params"))
OUTPUTS = ("outs", "metrics", "plots")


class Used(NamedTuple):
    """What the code of a stage uses: modules and other files by their paths, params by file."""

    modules: set[str]
    params: dict[str, set[str]]
    paths: set[str]


def build_graph() -> grimp.ImportGraph:
    """Return which module imports which, of the package that is imported, without the excepted."""
    graph = grimp.build_graph(str(CODE), include_external_packages=True, cache_dir=None)
    for module in [name for name in graph.modules if _is_excepted(name)]:
        graph.remove_module(module)
    return graph


def find_used(graph: grimp.ImportGraph, entry: Mapping[str, Any]) -> Used:
    """Return what a stage's commands use, by its entry in `dvc.yaml`.

    Raises:
        PipelineError: what a default of `main` stands for cannot be told.
    """
    found = re.findall(r"python -m ([\w.]+)", str(entry.get("cmd", "")))
    commands = [name for name in found if not _is_excepted(name)]
    imported = {module for name in commands for module in graph.find_upstream_modules(name)}
    modules = {name for name in imported | {*commands} if name.split(".")[0] == str(CODE)}
    parents = {name.rpartition(".")[0] for name in modules}
    while parents - modules - {""}:
        modules |= parents - {""}
        parents = {name.rpartition(".")[0] for name in modules}
    params: dict[str, set[str]] = {}
    paths: set[str] = set()
    for value in (value for name in commands for value in _defaults(name)):
        if isinstance(value, type) and issubclass(value, Sections):
            params.setdefault(str(PARAMS), set()).update(_name_params(value))
        else:
            paths.update(_flatten(value))
    versions = imported & params_file.read_mapping(VERSIONS).keys()
    return Used({_path(name) for name in modules}, params | {str(VERSIONS): versions}, paths)


def _defaults(module: str) -> Iterator[Any]:
    """Yield the defaults of a stage's `main`, which are names that the module imports.

    The module itself is not imported: that could take as long as TensorFlow does.
    """
    tree = ast.parse(Path(_path(module)).read_text(encoding="utf-8"))
    places = {
        name.asname or name.name: (node.module, name.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for name in node.names
    }
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and function.name == "main":
            for default in (*function.args.defaults, *filter(None, function.args.kw_defaults)):
                if not isinstance(default, ast.Name) or default.id not in places:
                    raise PipelineError(
                        f"{_path(module)}: main: the default {ast.unparse(default)} must be a "
                        "name that is imported from where the params or the path are defined"
                    )
                source, name = places[default.id]
                yield getattr(import_module(source), name)


def _name_params(schema: type[Sections]) -> Iterator[str]:
    """Yield the names to declare: of a section, or of params where a stage reads some of it."""
    whole = StateSections.schemas()
    for section, fields in schema.schemas().items():
        if fields is whole.get(section):
            yield section
        else:
            yield from (f"{section}.{key}" for key in fields.model_fields)


def _flatten(value: object) -> Iterator[str]:
    if isinstance(value, Path):
        yield value.as_posix()
    else:
        parts = value.values() if isinstance(value, Mapping) else value
        for part in parts if isinstance(parts, Iterable) else ():
            yield from _flatten(part)


def names_of(entry: Mapping[str, Any], *kinds: str) -> list[str]:
    """Return the paths that a stage's entry lists under these keys, without their options."""
    items = [item for kind in kinds for item in entry.get(kind, [])]
    return [item if isinstance(item, str) else next(iter(item)) for item in items]


def params_of(entry: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the names of the params that a stage's entry declares, by their file."""
    declared: dict[str, set[str]] = {}
    for item in entry.get("params", []):
        for path, names in ({str(PARAMS): [item]} if isinstance(item, str) else item).items():
            declared.setdefault(path, set()).update(names)
    return declared


def _is_excepted(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in EXCEPTED)


def _path(module: str) -> str:
    path = Path(*module.split("."))
    return str(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))
