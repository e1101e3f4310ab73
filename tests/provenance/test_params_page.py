"""`docs/params.md` says what the schemas of the params say."""

from pathlib import Path

import pytest

from pipeline.provenance.params_page import PAGE, build_page
from pipeline.provenance.state import StateSections

ROOT = Path(__file__).parents[2]
ROWS = {
    "batch_norm": "true or false",
    "conv_blocks": "list of [list of [whole number, at least 1]]",
    "dataset": "name",
    "dropout": "number, at least 0, less than 1",
    "early_stopping_patience": "whole number, at least 1 or null",
    "image_size": "list of 2 [whole number, at least 1, at most 4,096] or null",
    "learning_rate": "number, more than 0",
    "seed": "whole number, at least 0, at most 4,294,967,295",
    "val_from": "`train`, `test`",
}


def test_page_is_what_the_schemas_say() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == build_page()


@pytest.mark.parametrize(("name", "allowed"), ROWS.items())
def test_page_says_what_a_param_may_be(name: str, allowed: str) -> None:
    assert f"\n| `{name}` | {allowed} | " in build_page()


def test_every_param_has_a_meaning() -> None:
    for section, schema in StateSections.schemas().items():
        for key, field in schema.model_fields.items():
            assert (field.description or "").endswith("."), f"{section}.{key}: has no description"
