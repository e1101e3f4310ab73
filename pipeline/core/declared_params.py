"""The params that a stage declares in `dvc.yaml`: of `params.yaml`, or of files that it names."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.core.params import PARAMS


def names_by_file(entries: Iterable[str | Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the names that the list `params` of a stage declares, by the path of their file.

    A name is that of a top-level key, such as a section, or a dotted one of what lies below it. A
    file without names stands for all that it holds.
    """
    declared: dict[str, list[str]] = {}
    for entry in entries:
        for path, names in ({str(PARAMS): [entry]} if isinstance(entry, str) else entry).items():
            declared.setdefault(path, []).extend(names or [])
    return declared


def find_value(values: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    """Return what a file has under a dotted name, at any depth; None where it has nothing."""
    found: Any = values
    for key in name.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
