"""Read `params.yaml` as DVC does, with plain words for what is no YAML."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from pipeline.core.errors import ParamsError


def read_mapping(path: Path) -> dict[Any, Any]:
    """Return what the file holds.

    Raises:
        ParamsError: it cannot be read, or is no YAML mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = YAML(typ="safe").load(text)  # as DVC does
        if isinstance(values, dict):
            return values
        fault = "is empty" if values is None else "must be a mapping of sections"
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    except MarkedYAMLError as error:
        mark = error.context_mark
        context = f"{error.context} that starts in line {mark.line + 1}, " if mark else ""
        fault = f"line {error.problem_mark.line + 1}: {context}{error.problem}"
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        fault = f"line {line}: character {error.character:#04x} is not allowed"
    # The parser does not wrap what Python says of, for example, the date 2020-13-45.
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        fault = f"cannot be read: {error}"
    raise ParamsError(f"{path}: {' '.join(fault.split())}")
