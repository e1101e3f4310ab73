"""What the code of the stages defines and nothing uses, such as a metric without its row."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from pipeline.check.comparison import Fault
from pipeline.provenance.paths import CODE

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
        for name, node in _definitions(ast.parse(texts[path])):
            definition = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            if words[name] == WORD.findall(definition).count(name):
                yield Fault(
                    f"{path}: nothing uses {name}: is its entry missing (of a metric, a figure, "
                    "...), or what it is for? Else remove it"
                )


def _definitions(module: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    yield field.target.id, field
