"""Write what the check finds missing: entries of `dvc.yaml`, and files made from others."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.check.comparison import Fault
from pipeline.core import files, params_file
from pipeline.core.errors import PipelineError
from pipeline.provenance.packages import read_versions
from pipeline.provenance.params_page import PAGE, build_page
from pipeline.provenance.paths import PACKAGES, STAGES, VERSIONS


def write_missing(faults: Iterable[Fault]) -> None:
    """Add to `dvc.yaml` what the faults say is missing, and renew what is made from other files."""
    missing = list(faults)
    for path, text in made_files().items():
        if any(fault.kind == str(path) for fault in missing):
            files.write_text(path, text)
    if not any(fault.stage for fault in missing):
        return
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 1000, True  # lines stay as they are
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(STAGES)
    for fault in missing:
        if fault.stage:
            _add(_list_of(document["stages"][fault.stage], fault.kind), fault.entry)
    with files.replacing(STAGES) as partial:
        yaml.dump(document, partial)


def _list_of(stage: Any, kind: str) -> list[Any]:  # noqa: ANN401, a mapping of ruamel's
    """Return a list of a stage; a new one follows the command, as in the other stages.

    At the end it would follow the comment on the next stage, which ruamel counts to this one.
    """
    if kind not in stage:
        before = [list(stage).index(key) for key in ("cmd", "deps") if key in stage and key != kind]
        stage.insert(max(before, default=-1) + 1, kind, [])
    entries: list[Any] = stage[kind]
    return entries


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


def made_files() -> dict[Path, str]:
    """Return the files that are made from others, with what they are to hold."""
    made = {PAGE: build_page()}
    if PACKAGES.exists():
        locked, versions = read_versions(), params_file.read_mapping(VERSIONS)
        if missing := sorted({*versions} - {*locked}):
            raise PipelineError(f"{VERSIONS}: {', '.join(missing)}: not in {PACKAGES}")
        made[VERSIONS] = "".join(f"{name}: '{locked[name]}'\n" for name in versions)
    return {path: text for path, text in made.items() if path.exists()}
