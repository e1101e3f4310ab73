"""What is written and nothing uses, such as a metric without its row, or a stage that is none."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from pipeline.check.comparison import Fault
from pipeline.provenance.paths import CODE, STAGES

WORD = re.compile(r"\w+")


def find_unused_names(modules: Iterable[str]) -> Iterator[Fault]:
    """Yield the functions, classes and params whose name stands nowhere else in the package.

    Its own definition apart: a name in a comment, or that something else has, counts as used.

    Args:
        modules: paths of the modules that may define them.
    """
    texts = {str(path): path.read_text(encoding="utf-8") for path in CODE.rglob("*.py")}
    words = Counter(word for text in texts.values() for word in WORD.findall(text))
    for path in sorted(modules):
        lines = texts[path].splitlines()
        for name, first, last in _definitions(ast.parse(texts[path])):
            if words[name] == WORD.findall("\n".join(lines[first - 1 : last])).count(name):
                yield Fault(
                    f"{path}: nothing uses {name}: is its entry missing (of a metric, a figure, "
                    "...), or what it is for? Otherwise remove it"
                )


def find_unlisted_stages(modules: Iterable[str]) -> Iterator[Fault]:
    """Yield the modules whose `main` has the arguments of a stage's, but which no stage runs.

    Args:
        modules: paths of those that stages use.
    """
    for path in sorted(set(map(str, CODE.glob("*.py"))) - set(modules)):
        for node in ast.parse(Path(path).read_bytes()).body:
            if isinstance(node, ast.FunctionDef) and node.name == "main" and node.args.defaults:
                yield Fault(
                    f"{path}: main has its params and files as defaulted arguments, as that of a "
                    f"stage, but no stage of {STAGES} runs it"
                )


def _definitions(module: ast.Module) -> Iterator[tuple[str, int, int | None]]:
    """Yield the names that a module defines, and the first and last lines of their definitions."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node.lineno, node.end_lineno
        if isinstance(node, ast.ClassDef):
            for field, after in pairwise([*node.body, ast.Pass()]):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    described = isinstance(after, ast.Expr)  # by the text that follows it
                    yield field.target.id, field.lineno, (after if described else field).end_lineno
