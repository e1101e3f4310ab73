"""Names of metrics by class, in which MLflow finds nothing to refuse."""

import posixpath
import re
from collections.abc import Iterable

REFUSED = re.compile(r"[^\w\-. /]")


def name_metrics(classes: Iterable[str]) -> list[str]:
    """Return a name for each class in which MLflow finds nothing to refuse, no two the same.

    It takes letters, digits, `_`, `-`, `.`, spaces and slashes, and no path that could be written
    shorter, such as `a//b`. Anything else becomes `_`; where that is the name of another class, the
    label is appended. Most names stay as they are.
    """
    names = list(classes)
    allowed = [_replace(name) for name in names]
    taken = set(names) & set(allowed)
    for label, (name, other) in enumerate(zip(names, allowed, strict=True)):
        while other != name and other in taken:
            other = f"{other}_{label}"
        taken.add(other)
        allowed[label] = other
    return allowed


def _replace(name: str) -> str:
    plain = REFUSED.sub("_", name)
    is_path = posixpath.normpath(f"metric.{plain}") == f"metric.{plain}"  # it comes after a prefix
    return plain if is_path else plain.replace("/", "_")
