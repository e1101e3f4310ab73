"""The page that says of each param what it may be and what it means, written from the schemas."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.params import Strict
from pipeline.core.params_faults import NEUTRAL_KEY
from pipeline.provenance.paths import CODE
from pipeline.provenance.state import StateSections

PAGE = Path("docs/params.md")
HEADING = f"""# Params

What `params.yaml` holds, written by `make check FIX=1` from `{CODE}/*/params.py`. A changed param
reruns the stages that use it, and `plot`. A mistake is refused before any work is done:

```
params.yaml: train.epochs: must be at least 1, got 0
```

DVC has then removed the stage's outputs: correct the param and run `dvc repro`, or
`git checkout metrics` and `dvc checkout`. At its neutral value, a param changes nothing.
"""
LARGEST = 2**31 - 1  # a bound that nobody needs to be told
TYPES = {
    "array": "list",
    "boolean": "true or false",
    "integer": "whole number",
    "null": "null",
    "number": "number",
    "string": "name",
}
BOUNDS = {
    "minimum": "at least {:g}",
    "exclusiveMinimum": "more than {:g}",
    "maximum": "at most {:,.15g}",
    "exclusiveMaximum": "less than {:g}",
}


def build_page() -> str:
    """Return the page as Markdown."""
    sections = StateSections.schemas().items()
    return "\n".join([HEADING, *(_describe_section(name, schema) for name, schema in sections)])


def _describe_section(name: str, schema: type[Strict]) -> str:
    described = schema.model_json_schema()
    rows = [
        f"| `{key}` | {_allowed(field)} | {_mean(field)} |"
        for key, field in described["properties"].items()
    ]
    header = ["| param | may be | meaning |", "| --- | --- | --- |"]
    return "\n".join([f"## {name}\n\n{described['description']}\n", *header, *rows, ""])


def _allowed(field: Mapping[str, Any]) -> str:
    for key in ("anyOf", "oneOf"):
        if key in field:
            return " or ".join(map(_allowed, field[key]))
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        lengths = {field.get(key) for key in ("minItems", "maxItems")}
        count = f"{lengths.pop()} " if len(lengths) == 1 and None not in lengths else ""
        return f"list of {count}[{_allowed(field['items'])}]"
    return ", ".join([TYPES[field["type"]], *_bounds(field)])


def _bounds(field: Mapping[str, Any]) -> Iterator[str]:
    for key, words in BOUNDS.items():
        if key in field and field[key] != LARGEST:
            yield words.format(field[key])


def _mean(field: Mapping[str, Any]) -> str:
    neutral = f" Neutral: `{json.dumps(field[NEUTRAL_KEY])}`." if NEUTRAL_KEY in field else ""
    return " ".join(field.get("description", "").split()) + neutral
