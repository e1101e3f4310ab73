"""The schema of `params.yaml`, which alone says what a run used: code holds no defaults."""

import re
import reprlib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from pipeline.errors import ParamsError
from pipeline.paths import PARAMS

IMAGE_SIDE = 28  # pixels
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]  # TensorFlow's sizes are 32-bit in places


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class PrepareParams(_Strict):
    """Which images are used, always the first ones of a split.

    Attributes:
        dataset: name of the folder in `data/raw`; not a path, so nothing outside is read.
        val_from: the raw split to validate on: `train`, after the training images, or `test`,
            whose images then leak into every choice made by their scores.
    """

    dataset: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    train_samples: Count
    val_samples: Count
    val_from: Literal["train", "test"]
    test_samples: Count


class ModelParams(_Strict):
    """The network's architecture.

    Attributes:
        conv_blocks: for each block the filter counts of its convolutions, which a 2x2 max
            pooling follows: `[[32, 64], [128]]` is two convolutions, pooling, one convolution,
            pooling; `[]` is a fully connected network.
        kernel_size: side of the convolutions' square kernels, in pixels.
    """

    conv_blocks: list[Annotated[list[Count], Field(min_length=1)]]
    kernel_size: Count
    dense_units: list[Count]
    dropout: float = Field(ge=0, lt=1)
    batch_norm: bool

    @field_validator("kernel_size")  # not on the model: a fault of another field would skip it
    @classmethod
    def _blocks_fit_image(cls, kernel_size: int, info: ValidationInfo) -> int:
        feature_map_side(info.data.get("conv_blocks", []), kernel_size, IMAGE_SIDE)
        return kernel_size


class TrainParams(_Strict):
    """How the network is trained.

    Attributes:
        early_stopping_patience: epochs without improvement before training stops; null: never.
        threads: of TensorFlow's operations; another count sums in another order: other bits.
    """

    epochs: Count
    batch_size: Count
    optimizer: Literal["adam", "sgd", "rmsprop", "adamw"]
    learning_rate: float = Field(gt=0)
    learning_rate_schedule: Literal["constant", "cosine"]
    early_stopping_patience: Count | None
    seed: int = Field(ge=0, le=2**32 - 1)  # what NumPy takes
    threads: int = Field(ge=1, le=1024)


class EvaluateParams(_Strict):
    """How results are judged: `confidence` is the level of the intervals, such as 0.95."""

    confidence: float = Field(gt=0, lt=1)


class Params(_Strict):
    """All of `params.yaml`."""

    prepare: PrepareParams
    model: ModelParams
    train: TrainParams
    evaluate: EvaluateParams


def load_params(path: Path = PARAMS) -> Params:
    """Read and check the whole file.

    Raises:
        ParamsError: with one line for each fault, in the schema's order.
    """
    values = _read_yaml(path)
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise ParamsError("\n".join(f"{path}: {_describe(e)}" for e in error.errors())) from None


def flatten(params: Params) -> dict[str, Any]:
    """Return each parameter's value by its dotted name, such as `train.epochs`."""
    sections = params.model_dump().items()
    return {f"{section}.{key}": value for section, keys in sections for key, value in keys.items()}


def feature_map_side(conv_blocks: Sequence[Sequence[int]], kernel_size: int, side: int) -> int:
    """Return the side of what the last block makes of an image with this side, in pixels.

    Convolutions are unpadded, and pooling drops an odd last row and column.

    Raises:
        ValueError: nothing is left; the message says after which layer, and what to do.
    """
    remedy = "use fewer layers or a smaller kernel_size" if kernel_size > 1 else "use fewer blocks"
    for block, filters in enumerate(conv_blocks, start=1):
        for layer in [*(f"layer {n}" for n in range(1, len(filters) + 1)), "the pooling"]:
            side = side // 2 if layer == "the pooling" else side - (kernel_size - 1)
            if side < 1:
                raise ValueError(f"{layer} of block {block} leaves nothing of the image; {remedy}")
    return side


def _read_yaml(path: Path) -> dict[Any, Any]:
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


_PLACES = {section: section for section in Params.model_fields} | {
    key: f"{name}.{key}"
    for name, section in Params.__annotations__.items()
    for key in section.model_fields
}
_YAML = {"None": "null", "True": "true", "False": "false"}  # how it spells what Python shows
_WORDS = {  # for pydantic's types of error
    "missing": "is missing",
    "extra_forbidden": "is not a known parameter{hint}",
    "invalid_key": "is not a known parameter",
    "model_type": "must be a mapping{got}",
    "list_type": "must be a list{got}",
    "too_short": "must not be empty",
    "bool_type": "must be true or false{got}",
    "int_type": "must be a whole number{got}",
    "float_type": "must be a number{got}",
    "greater_than": "must be more than {gt:g}{got}",
    "greater_than_equal": "must be at least {ge:g}{got}",
    "less_than": "must be less than {lt:g}{got}",
    "less_than_equal": "must be at most {le}{got}",
    "string_type": "must be text{got}",
    "string_pattern_mismatch": "must be a folder's name of letters, digits, - and _{got}",
    "literal_error": "must be one of {choices}{got}",
    "value_error": "{error}",
}


def _describe(error: ErrorDetails) -> str:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    huge = isinstance(value, int) and value.bit_length() > 999  # Python may refuse to print it
    shown = "a huge number" if huge else reprlib.repr(value)
    # Blocks that do not fit are noticed when kernel_size is validated.
    place = ("model", "conv_blocks") if kind == "value_error" else error["loc"]
    names = [k if re.fullmatch(r"[\w-]+", k) else repr(k) for k in map(str, place[:2])]
    *_, key = "", *place
    close = get_close_matches(str(key), _PLACES, n=1, cutoff=0.65)
    null = " or null" if key == "early_stopping_patience" else ""
    words = _WORDS.get(kind, "{plain}{got}").format(
        **context,
        plain=error["msg"].replace("Input should be", "must be"),
        got=f"{null}, got {_YAML.get(shown, shown)}",
        hint=f"; did you mean {_PLACES[close[0]]}?" if close else "",
        choices=context.get("expected", "").replace("'", "").replace(" or ", ", "),
    )
    return f"{'.'.join(names)}{''.join(f'[{i}]' for i in place[2:])}: {words}"
