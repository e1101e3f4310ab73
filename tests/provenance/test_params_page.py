"""`docs/params.md` says what the schemas of the params say."""

from pathlib import Path

import pytest

from pipeline.provenance.params_page import PAGE, build_page

ROOT = Path(__file__).parents[2]
ROWS = {
    "batch_norm": "true or false",
    "conv_blocks": "list of [list of [whole number, at least 1]]",
    "dataset": "name",
    "dropout": "number, at least 0, less than 1",
    "early_stopping_patience": "whole number, at least 1 or null",
    "image_size": "list of 2 [whole number, at least 1, at most 4096] or null",
    "learning_rate": "number, more than 0",
    "optimizer": "`adam`, `sgd`, `rmsprop`, `adamw`",
    "seed": "whole number, at least 0, at most 4294967295",
}


def test_page_is_what_the_schemas_say() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == build_page()


@pytest.mark.parametrize(("name", "allowed"), ROWS.items())
def test_page_says_what_a_param_may_be(name: str, allowed: str) -> None:
    assert f"\n| `{name}` | {allowed} | " in build_page()


def test_every_param_has_a_meaning() -> None:
    rows = [line.split("|") for line in build_page().splitlines() if line.startswith("| `")]

    assert len(rows) >= 26
    assert all(len(row) == 5 and row[3].strip().endswith(".") for row in rows)
