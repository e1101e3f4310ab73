"""What `dvc.yaml` declares of a state and `dvc.lock` records, as the files of a folder have it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.core.errors import DataError
from pipeline.core.files import IGNORED
from pipeline.core.params import PARAMS
from pipeline.data.paths import RAW
from pipeline.provenance import state
from pipeline.provenance.origin import flatten_sections, parse_yaml
from pipeline.provenance.paths import CODE, LOCK, METRICS, PACKAGES, STAGES

# What goes into a state, and what Git keeps of it.
FILES = (IGNORED, PARAMS, STAGES, LOCK, METRICS, PACKAGES.parent, CODE, RAW)
Stage = TypeVar("Stage", bound=BaseModel)
Parsed = TypeVar("Parsed")


class LockedFile(BaseModel):
    """A file or folder, and the MD5 that `dvc.lock` has of it."""

    path: str
    md5: str = ""


class LockedStage(BaseModel):
    """What `dvc.lock` has of a stage; `params` are by file, then by section or dotted name."""

    cmd: str | list[str]
    deps: list[LockedFile] = []
    params: dict[str, dict[str, object]] = {}
    outs: list[LockedFile] = []

    def flat_params(self, path: Path = PARAMS) -> dict[str, object]:
        """Return the params of a file by their dotted names."""
        flat: dict[str, object] = {}
        for name, value in self.params.get(str(path), {}).items():
            if isinstance(value, dict):
                flat |= {f"{name}.{key}": item for key, item in value.items()}
            else:
                flat[name] = value
        return flat


class DeclaredStage(BaseModel):
    """What `dvc.yaml` declares of a stage, each path with its options or alone."""

    cmd: str | list[str]
    deps: list[str] = []
    params: list[str | dict[str, list[str] | None]] = []
    outs: list[str | dict[str, object]] = []
    metrics: list[str | dict[str, object]] = []
    plots: list[str | dict[str, object]] = []
    frozen: bool = False

    @property
    def outputs(self) -> list[str]:
        """The paths of all that it makes."""
        items = (*self.outs, *self.metrics, *self.plots)
        return [name for item in items for name in ([item] if isinstance(item, str) else item)]


@dataclass(frozen=True)
class Recorded:
    """What was declared and what was run.

    Attributes:
        folder: that the files are in.
        params: by their dotted names.
        declared: what `dvc.yaml` has of each stage.
        stages: what `dvc.lock` has of each stage.
    """

    folder: Path = field(repr=False)
    params: Mapping[str, object]
    declared: Mapping[str, DeclaredStage]
    stages: Mapping[str, LockedStage]

    @property
    def made(self) -> dict[str, str]:
        """MD5 of all outputs, as `dvc.lock` has them."""
        return {out.path: out.md5 for stage in self.stages.values() for out in stage.outs}

    @property
    def given(self) -> dict[str, str]:
        """MD5 of all that stages depend on and none of them makes, and the stages' commands."""
        made, stages = self.made, self.stages.values()
        deps = {dep.path: dep.md5 for stage in stages for dep in stage.deps}
        commands = {name: str(stage.cmd) for name, stage in self.stages.items()}
        return {path: md5 for path, md5 in deps.items() if path not in made} | commands

    @property
    def state_id(self) -> str:
        """The id of the state, by which MLflow's run is found; empty for another pipeline's."""
        made = self.made
        if not made.keys() >= set(map(str, state.STATE_FILES)):
            return ""
        return state.combine(self.params, {path: made[str(path)] for path in state.STATE_FILES})


def read_recorded(folder: Path) -> Recorded:
    """Read what the files of a folder have.

    Raises:
        DataError: one is missing, or is not as DVC writes it.
    """
    return Recorded(
        folder=folder,
        params=read_file(folder, PARAMS, parse_params),
        declared=read_file(folder, STAGES, lambda text: parse_stages(text, DeclaredStage)),
        stages=read_file(folder, LOCK, lambda text: parse_stages(text, LockedStage)),
    )


def read_file(folder: Path, path: Path, parse: Callable[[str], Parsed]) -> Parsed:
    """Return what a file in a folder holds.

    Args:
        folder: that has the whole state.
        path: below it.
        parse: the text of the file.

    Raises:
        DataError: it is missing, or `parse` refuses it.
    """
    try:
        return parse((folder / path).read_text(encoding="utf-8"))
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    except ValidationError as error:
        first = error.errors()[0]
        fault = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    # Of json, pandas, and of what has another shape than it should.
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        fault = f"is damaged: {error}"
    raise DataError(f"{path}: {fault}")


def parse_params(text: str) -> dict[str, object]:
    """Return the params by their dotted names.

    Raises:
        ValueError: it holds none, or the id of a state cannot be made of them.
        TypeError: likewise.
    """
    params = flatten_sections(_parse_mapping(text))
    json.dumps(params)  # as the id of the state does
    return params


def parse_stages(text: str, model: type[Stage]) -> dict[str, Stage]:
    """Return the stages that `dvc.yaml` or `dvc.lock` has, by their names.

    Raises:
        ValueError: one is not as DVC writes it.
        LookupError: there are none.
    """
    stages = _parse_mapping(text)["stages"].items()
    return {str(name): model.model_validate(values) for name, values in stages}


def _parse_mapping(text: str) -> dict[str, Any]:
    values = parse_yaml(text)
    if not values:
        raise ValueError("it holds no YAML mapping")
    return values
