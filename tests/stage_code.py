"""What the code of a package imports, and which params it reads, found without running it."""

import ast
from collections.abc import Iterable, Iterator
from importlib.util import resolve_name
from itertools import accumulate
from pathlib import PurePosixPath
from typing import NamedTuple

LOAD_PARAMS = "pipeline.provenance.params.load_params"


class Module(NamedTuple):
    """A module: where it lies, its syntax, and pairs of the names and targets of its imports."""

    path: str
    tree: ast.Module
    imports: list[tuple[str, str]]


class Scope(NamedTuple):
    """A function, or the rest of a module, and the params that its variables hold.

    Params have dotted names, such as `train.epochs`; so have groups of them, and "" is all.
    """

    module: str
    code: ast.FunctionDef | ast.Module
    variables: dict[str, str]


class Package:
    """A package, given as its source files' text by path, such as `pipeline/train.py`.

    No search goes into the `excepted` modules, nor into those below them.
    """

    def __init__(self, sources: dict[str, str], excepted: Iterable[str] = ()) -> None:
        self._modules = {_name(path): _parse(path, text) for path, text in sources.items()}
        self._excepted = tuple(excepted)

    def reach(self, starts: Iterable[str]) -> set[str]:
        """Return `starts` and all modules that they import, directly or not."""
        found: set[str] = set()
        pending = list(starts)
        while pending:
            name = pending.pop()
            if name not in found and not self.excepts(name):
                found.add(name)
                targets = [name, *(target for _, target in self._modules[name].imports)]
                pending += [module for target in targets for module in self._within(target)]
        return found

    def paths(self, modules: Iterable[str]) -> set[str]:
        """Return where `modules` lie."""
        return {self._modules[name].path for name in modules}

    def params_read(self, modules: Iterable[str], leaves: Iterable[str]) -> set[str]:
        """Return the params that `modules` use, of what `load_params` returns there.

        They are followed through variables and through calls of the package's functions. A group
        that goes any other way counts as read, all of it.
        """
        known = {name for leaf in leaves for name in (leaf, leaf.partition(".")[0])}
        reads: set[str] = set()
        followed: list[Scope] = []
        pending = [
            Scope(name, code, {})
            for name in modules
            for code in ast.walk(self._modules[name].tree)
            if isinstance(code, ast.FunctionDef | ast.Module)
        ]
        while pending:
            if (scope := pending.pop()) not in followed:
                followed.append(scope)
                search = _Search(self, scope, known)
                reads |= search.reads
                pending += search.calls
        return reads

    def target(self, module: str, function: ast.expr) -> str:
        """Return the full name of what `module` calls as, for example, `files.write_text`."""
        name, imports = ast.unparse(function), dict(self._modules[module].imports)
        head, _, attribute = name.rpartition(".")
        if head in imports:
            return f"{imports[head]}.{attribute}"
        return imports.get(name, f"{module}.{name}")

    def find(self, target: str) -> tuple[str, ast.FunctionDef] | None:
        """Return the function of the package with this full name, and its module."""
        module, _, name = target.rpartition(".")
        body = self._modules[module].tree.body if module in self._modules else []
        functions = (part for part in body if isinstance(part, ast.FunctionDef))
        return next(((module, part) for part in functions if part.name == name), None)

    def excepts(self, name: str) -> bool:
        """Return whether a module, or what is in it, is excepted."""
        return any(f"{name}.".startswith(f"{module}.") for module in self._excepted)

    def _within(self, target: str) -> Iterator[str]:
        parts = accumulate(target.split("."), "{}.{}".format)
        return (name for name in parts if name in self._modules)


class _Search(ast.NodeVisitor):
    """Which params one scope reads, and which functions it gives any."""

    def __init__(self, package: Package, scope: Scope, known: set[str]) -> None:
        self.reads: set[str] = set()
        self.calls: list[Scope] = []
        self._package, self._known = package, known
        self._module, self._code = scope.module, scope.code
        self._variables = dict(scope.variables)
        for _ in range(2):  # a closure may come before the variables it uses
            self.generic_visit(scope.code)

    def visit(self, node: ast.AST) -> None:
        param, in_function = self._param(node), isinstance(self._code, ast.FunctionDef)
        match node:
            case _ if param is not None:
                self.reads.add(param)
            case (
                ast.Assign([ast.Name(name)], value)
                | ast.AnnAssign(ast.Name(name), _, value)
                | ast.NamedExpr(ast.Name(name), value)
            ) if in_function and (held := self._param(value)) is not None:
                self._variables[name] = held
            case ast.FunctionDef() if not in_function:
                pass  # is a scope of its own
            case ast.Call():
                self._visit_call(node)
            case _:
                self.generic_visit(node)

    def _visit_call(self, call: ast.Call) -> None:
        self.visit(call.func)
        target = self._package.target(self._module, call.func)
        excepted, found = self._package.excepts(target), self._package.find(target)
        accepted = found[1].args if found else ast.arguments([], [], None, [], [], None, [])
        positional = [argument.arg for argument in [*accepted.posonlyargs, *accepted.args]]
        named = {*positional, *(argument.arg for argument in accepted.kwonlyargs)}
        places = iter(positional)
        given = [(next(places, None), value) for value in call.args]
        given += [(keyword.arg, keyword.value) for keyword in call.keywords]
        passed = {}
        for name, value in given:
            param = self._param(value)
            if param is None or not (excepted or name in named):
                self.visit(value)
            elif name is not None:
                passed[name] = param
        if found and passed and not excepted:
            self.calls.append(Scope(*found, passed))

    def _param(self, node: ast.AST | None) -> str | None:
        match node:
            case ast.Name(name, ast.Load()):
                return self._variables.get(name)
            case ast.Call(function) if self._package.target(self._module, function) == LOAD_PARAMS:
                return ""
            case ast.Attribute(value, attribute) if (group := self._param(value)) is not None:
                name = f"{group}.{attribute}".lstrip(".")
                return name if name in self._known else None
        return None


def _name(path: str) -> str:
    return ".".join(PurePosixPath(path).with_suffix("").parts).removesuffix(".__init__")


def _parse(path: str, text: str) -> Module:
    tree = ast.parse(text, path)
    package = ".".join(PurePosixPath(path).parent.parts)
    imports = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(alias.asname or alias.name, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            imports += [
                (alias.asname or alias.name, f"{source}.{alias.name}") for alias in node.names
            ]
    return Module(path, tree, imports)
