"""The words for what a schema finds wrong in `params.yaml`."""

import re
import reprlib
from difflib import get_close_matches
from typing import cast, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

_YAML = {"None": "null", "True": "true", "False": "false"}  # how it spells what Python shows
COUNT_TAG = "count"  # of a param that may also be `all`
NEUTRAL_KEY = "neutral"  # where a field has the value that states from before it have
_WORDS = {  # for pydantic's types of error
    "missing": "is missing{line}",
    "extra_forbidden": "is not a known parameter{hint}",
    "invalid_key": "is not a known parameter",
    "model_type": "must be a mapping{got}",
    "list_type": "must be a list{got}",
    "too_short": "must have at least {min_length} {entries}{got}",
    "too_long": "must have at most {max_length} entries{got}",
    "bool_type": "must be true or false{got}",
    "int_type": "must be a whole number{word}{got}",
    "float_type": "must be a number{got}",
    "greater_than": "must be more than {gt:g}{got}",
    "greater_than_equal": "must be at least {ge:g}{got}",
    "less_than": "must be less than {lt:g}{got}",
    "less_than_equal": "must be at most {le:,.15g}{got}",
    "string_type": "must be text{got}",
    "string_pattern_mismatch": "must be a folder's name of letters, digits, - and _{got}",
    "literal_error": "must be one of {choices}{got}",
    "value_error": "{error}",
}


def describe(error: ErrorDetails, schema: type[BaseModel]) -> str:
    """Return a fault in one line, the name of the param first.

    Args:
        error: what pydantic found.
        schema: whose fields are sections, which have params as fields.
    """
    kind, context, value, place = error["type"], error.get("ctx", {}), error["input"], error["loc"]
    may_be_all = place[-1:] == (COUNT_TAG,)
    place = place[:-1] if may_be_all else place
    huge = isinstance(value, int) and value.bit_length() > 999  # Python may refuse to print it
    shown = "a huge number" if huge else reprlib.repr(value)
    names = [k if re.fullmatch(r"[\w-]+", k) else repr(k) for k in map(str, place[:2])]
    params = _params(schema)
    close = get_close_matches(str(place[-1]) if place else "", params, n=1, cutoff=0.65)
    null = " or null" if len(place) == 2 and _may_be_null(schema, *map(str, place)) else ""
    words = _WORDS.get(kind, "{plain}{got}").format(
        **context,
        plain=error["msg"].replace("Input should be", "must be"),
        got=f"{null}, got {_YAML.get(shown, shown)}",
        word=" or all" if may_be_all else "",
        line=_line_to_add(schema, *map(str, place)) if len(place) == 2 else "",
        hint=f"; did you mean {params[close[0]]}?" if close else "",
        choices=context.get("expected", "").replace("'", "").replace(" or ", ", "),
        entries="entry" if context.get("min_length") == 1 else "entries",
    )
    if not place:  # what is wrong with the whole says which params it is about
        return words
    return f"{'.'.join(names)}{''.join(f'[{i}]' for i in place[2:])}: {words}"


def _params(schema: type[BaseModel]) -> dict[str, str]:
    """Return the full name of each section and param by its own."""
    return {section: section for section in schema.model_fields} | {
        key: f"{name}.{key}" for name in schema.model_fields for key in _fields(schema, name)
    }


def _may_be_null(schema: type[BaseModel], section: str, key: str) -> bool:
    fields = _fields(schema, section)
    return key in fields and type(None) in get_args(fields[key].annotation)


def _line_to_add(schema: type[BaseModel], section: str, key: str) -> str:
    """Return what to add for a param that files from before it lack, if it is such a one."""
    field = _fields(schema, section).get(key)
    extra = field.json_schema_extra if field else None
    if not isinstance(extra, dict) or NEUTRAL_KEY not in extra:
        return ""
    value = str(extra[NEUTRAL_KEY])
    return f"; add `{key}: {_YAML.get(value, value)}`, which changes nothing"


def _fields(schema: type[BaseModel], section: str) -> dict[str, FieldInfo]:
    of_section = cast("type[BaseModel]", schema.model_fields[section].annotation)
    return of_section.model_fields
