"""How `params.yaml` is read: code holds no defaults.

Each section has its schema in the package that uses it (`data/params.py`, `training/params.py`,
...); a stage reads the sections it names, and no others.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from pipeline.core import params_faults, params_file
from pipeline.core.errors import ParamsError
from pipeline.core.params_faults import COUNT_TAG, NEUTRAL_KEY

PARAMS = Path("params.yaml")

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]  # TensorFlow's sizes are 32-bit in places


def _tell_count(value: object) -> str:
    return "word" if value == "all" else COUNT_TAG


CountOrAll = Annotated[
    Annotated[Count, Tag(COUNT_TAG)] | Annotated[Literal["all"], Tag("word")],
    Discriminator(_tell_count),  # so that what is neither is one fault, that of a count
]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Strict(BaseModel):
    """A schema that takes what it is given as it is, and nothing else.

    The string below a field is its description.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class Sections(Strict):
    """Some sections of `params.yaml`, or all: each field is one, a `Strict` of its params."""

    @classmethod
    def load(cls, path: Path = PARAMS) -> Self:
        """Read these sections, and of each the params that its schema has.

        Raises:
            ParamsError: with one line for each fault, in the schema's order.
        """
        given = params_file.read_mapping(path)
        return cls.check(
            {
                name: _pick(given[name], section.model_fields)
                for name, section in cls.schemas().items()
                if name in given
            },
            str(path),
        )

    @classmethod
    def check(cls, given: Mapping[Any, Any], where: str) -> Self:
        """Return what the mapping of sections holds.

        Raises:
            ParamsError: with one line for each fault, each after `where`.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            faults = (params_faults.describe(fault, cls) for fault in error.errors())
            raise ParamsError("\n".join(f"{where}: {fault}" for fault in faults)) from None

    @classmethod
    def neutral_values(cls) -> dict[str, object]:
        """Return the neutral value of each param that has one, by its dotted name."""
        return {
            f"{section}.{key}": field.json_schema_extra[NEUTRAL_KEY]
            for section, schema in cls.schemas().items()
            for key, field in schema.model_fields.items()
            if isinstance(field.json_schema_extra, dict) and NEUTRAL_KEY in field.json_schema_extra
        }

    @classmethod
    def schemas(cls) -> dict[str, type[Strict]]:
        """Return the schema of each section."""
        return {name: cast("type[Strict]", f.annotation) for name, f in cls.model_fields.items()}


def neutral(value: Any, **bounds: Any) -> Any:  # noqa: ANN401
    """Return the field of a param that was added to a schema that is in use.

    At its neutral value, all is as it was before there was such a param: what lacks it has it.

    Args:
        value: the neutral one.
        bounds: further arguments of pydantic's `Field`, such as `ge`.
    """
    return Field(json_schema_extra={NEUTRAL_KEY: value}, **bounds)


def unflatten(flat: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the sections of params that are given by their dotted names."""
    sections: dict[str, dict[str, Any]] = {}
    for name, value in flat.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = value
    return sections


def flatten(params: Sections) -> dict[str, Any]:
    """Return each parameter's value by its dotted name, such as `train.epochs`."""
    sections = params.model_dump().items()
    return {f"{section}.{key}": value for section, keys in sections for key, value in keys.items()}


def _pick(section: object, names: Mapping[str, object]) -> object:
    if not isinstance(section, Mapping):
        return section  # which the schema refuses
    return {name: section[name] for name in names if name in section}
