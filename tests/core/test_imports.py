"""What is imported stays, so the garbage collector need not look at it."""

import gc

import pytest

from pipeline.core.imports import importing


def test_collector_rests_meanwhile_and_leaves_out_what_was_made() -> None:
    frozen = gc.get_freeze_count()
    with importing():
        made = [[number] for number in range(1000)]
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() >= frozen + len(made)


def test_collector_goes_on_after_an_import_that_fails_but_not_if_it_was_off() -> None:
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled()
    gc.disable()
    try:
        with importing():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
