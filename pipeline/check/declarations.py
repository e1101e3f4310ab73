"""What `dvc.yaml` declares of a stage, and what the code of the stage uses.

Imports are followed as grimp finds them, also those in functions, but not what `importlib` imports;
the params and files of a stage are the defaults of its `main`.
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
from pipeline.provenance.paths import CODE, STAGES, VERSIONS
from pipeline.provenance.state import StateSections

# None of these can change an output: MLflow is a view, and the check of all params only refuses.
EXCEPTED = tuple(f"{CODE}.{name}" for name in ("tracking", "publish", "provenance.params"))
OUTPUTS = ("outs", "metrics", "plots")
COMMAND = r"(?:python[\d.]*(?:\s+-\w+)*?\s+-m|--after)\s+([\w.]+)"


class Used(NamedTuple):
    """What the code of a stage uses: modules and other files by their paths, params by file."""

    modules: set[str]
    params: dict[str, set[str]]
    paths: set[str]


def build_graph() -> grimp.ImportGraph:
    """Return which module imports which, of the package that is imported, without the excepted.

    Raises:
        PipelineError: a module cannot be parsed.
    """
    try:
        return _build_graph()
    except grimp.exceptions.SourceSyntaxError as error:
        raise PipelineError(str(error)) from None


def _build_graph() -> grimp.ImportGraph:
    graph = grimp.build_graph(str(CODE), include_external_packages=True, cache_dir=None)
    for module in [name for name in graph.modules if _is_excepted(name)]:
        graph.remove_module(module)
    return graph


def find_used(graph: grimp.ImportGraph, entry: Mapping[str, Any]) -> Used:
    """Return what a stage's commands use, by its entry in `dvc.yaml`.

    Raises:
        PipelineError: what a default of `main` stands for cannot be told.
    """
    commands = _find_commands(graph, entry)
    imported = {*commands}
    for name in commands:
        imported |= graph.find_upstream_modules(name)
    missing = _parents(imported) - imported
    while missing:  # to import a module runs the `__init__` of each package that it is in
        imported |= missing
        for name in missing:
            imported |= graph.find_upstream_modules(name)
        missing = _parents(imported) - imported
    modules = {name for name in imported if name.split(".")[0] == str(CODE)}
    params: dict[str, set[str]] = {}
    paths: set[str] = set()
    for value in (value for name in commands for value in _defaults(name)):
        if isinstance(value, type) and issubclass(value, Sections):
            params.setdefault(str(PARAMS), set()).update(_name_params(value))
        else:
            paths.update(_flatten(value))
    versions = imported & params_file.read_mapping(VERSIONS).keys()
    return Used({_path(name) for name in modules}, params | {str(VERSIONS): versions}, paths)


def _find_commands(graph: grimp.ImportGraph, entry: Mapping[str, Any]) -> list[str]:
    """Return the modules of the package that a stage runs."""
    found = re.findall(COMMAND, str(entry.get("cmd", "")))
    named = [name for name in found if name.split(".")[0] == str(CODE) and not _is_excepted(name)]
    commands = [f"{name}.__main__" if Path(*name.split(".")).is_dir() else name for name in named]
    for name in commands:
        if name not in graph.modules:
            raise PipelineError(f"{STAGES}: there is no module {name} to run")
    return commands


def _parents(modules: Iterable[str]) -> set[str]:
    own = (name for name in modules if name.split(".")[0] == str(CODE))
    return {name.rpartition(".")[0] for name in own} - {""}


def _defaults(module: str) -> Iterator[Any]:
    """Yield the defaults of a stage's `main`: names that the module imports, or plain paths.

    The module itself is not imported: that could take as long as TensorFlow does.
    """
    tree = ast.parse(Path(_path(module)).read_text(encoding="utf-8"))
    places = {
        name.asname or name.name: (node.module, name.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for name in node.names
    }
    mains = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == "main"]
    for args in (main.args for main in mains):
        defaults = [*args.defaults, *args.kw_defaults]
        if not defaults or len(defaults) < len(args.args) + len(args.kwonlyargs):
            raise PipelineError(
                f"{_path(module)}: main: must have its params and files as defaulted arguments"
            )
        for default in filter(None, defaults):
            if (path := _literal_path(default)) is not None:
                yield path
                continue
            if not isinstance(default, ast.Name) or default.id not in places:
                raise PipelineError(
                    f"{_path(module)}: main: the default {ast.unparse(default)} must be a name "
                    "that is imported from where the params or the path are defined, or a "
                    "Path('...') that only this stage knows"
                )
            source, name = places[default.id]
            yield getattr(import_module(source), name)
    if not mains:
        raise PipelineError(f"{_path(module)}: has no main, whose defaults say what it uses")


def _literal_path(default: ast.expr) -> Path | None:
    match default:
        case ast.Call(func=ast.Name("Path"), args=[ast.Constant(str(path))]):
            return Path(path)
    return None


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


def _is_excepted(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in EXCEPTED)


def _path(module: str) -> str:
    path = Path(*module.split("."))
    return str(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))
