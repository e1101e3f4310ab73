"""The results of a state: the files that stages write into `metrics/` and Git keeps.

The list of them is `dvc.yaml`. Each commit has its own: no state lacks a file that came later.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError
from pipeline.figures.paths import FIGURES
from pipeline.provenance.origin import parse_yaml
from pipeline.provenance.paths import METRICS, STAGES

Numbers = dict[str, float | None]


def kept_in_git(outputs: Iterable[str | Mapping[str, Any]]) -> set[str]:
    """Return the paths of those outputs, as `dvc.yaml` lists them, that are not in DVC's cache."""
    return {
        path
        for output in outputs
        if isinstance(output, Mapping)
        for path, options in output.items()
        if isinstance(options, Mapping) and options.get("cache") is False
    }


def list_results(folder: Path) -> list[Path]:
    """Return the results, but for figures, that the `dvc.yaml` in a folder declares, in order.

    Raises:
        DataError: it declares none.
    """
    path = folder / STAGES
    stages = parse_yaml(path.read_text(encoding="utf-8") if path.is_file() else "").get("stages")
    outputs = [
        output
        for entry in (stages.values() if isinstance(stages, dict) else ())
        for kind in ("outs", "metrics", "plots")
        for output in entry.get(kind, ())
    ]
    results = map(Path, kept_in_git(outputs))
    found = [p for p in results if p.is_relative_to(METRICS) and not p.is_relative_to(FIGURES)]
    if not found:
        raise DataError(f"{STAGES} declares no file of {METRICS} with `cache: false`")
    return sorted(found)


def flatten_numbers(
    values: object, rename: Callable[[Iterable[str]], Iterable[str]] = list
) -> Numbers:
    """Return the numbers among nested values by their dotted names, such as `recall.7`.

    A null is None; anything else, such as a list, is left out.

    Args:
        values: what a JSON file holds; of anything but a mapping, there are none.
        rename: gives the names of all keys of one level.
    """
    numbers: Numbers = {}
    if not isinstance(values, Mapping):
        return numbers
    for name, value in zip(rename(values), values.values(), strict=True):
        if isinstance(value, Mapping):
            below = flatten_numbers(value, rename).items()
            numbers |= {f"{name}.{key}": number for key, number in below}
        elif value is None or isinstance(value, int | float):
            numbers[name] = value
    return numbers
