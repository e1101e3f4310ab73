"""A report asks the check of the head, in a process of its own."""

from pathlib import Path

import pytest

from pipeline.core.package import PACKAGE
from pipeline.review.report_error import ReportError
from pipeline.review.undeclared import read_check, start_check

FAULT = "dvc.yaml: train imports pipeline/new.py: add pipeline/new.py to deps"


def make_check(folder: Path, code: str, path: str = "check/__main__.py") -> None:
    module = folder / PACKAGE / path
    module.parent.mkdir(parents=True)
    module.write_text(code)


def test_faults_are_those_that_the_check_of_the_state_finds(tmp_path: Path) -> None:
    make_check(
        tmp_path, f"import sys\nprint({FAULT!r})\nprint('hint', file=sys.stderr)\nsys.exit(1)"
    )

    assert read_check(start_check(tmp_path)) == [FAULT]


def test_check_from_before_it_was_a_package_is_asked(tmp_path: Path) -> None:
    make_check(tmp_path, f"print({FAULT!r})", "check.py")

    assert read_check(start_check(tmp_path)) == [FAULT]


def test_check_runs_in_the_folder_of_the_state(tmp_path: Path) -> None:
    make_check(tmp_path, "import os, sys\nprint(f'here: {os.getcwd()}')\nsys.exit(1)\n")

    assert read_check(start_check(tmp_path)) == [f"here: {tmp_path.resolve()}"]


@pytest.mark.parametrize("code", ["", "import warnings; warnings.warn('harmless')"])
def test_state_that_passes_has_no_faults(tmp_path: Path, code: str) -> None:
    make_check(tmp_path, code)

    assert read_check(start_check(tmp_path)) == []


def test_state_from_before_there_was_a_check_is_not_asked(tmp_path: Path) -> None:
    assert read_check(start_check(tmp_path)) == []


@pytest.mark.parametrize("code", ["1 / 0", "import sys; sys.exit('it is broken')"])
def test_check_that_fails_is_no_answer(tmp_path: Path, code: str) -> None:
    make_check(tmp_path, code)

    with pytest.raises(ReportError, match=r"`python -m pipeline.check` failed: .*(zero|broken)"):
        read_check(start_check(tmp_path))
