"""`params.yaml` as DVC writes it: what sets a param touches no other line."""

import difflib
import shutil
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml

from tests.conftest import ROOT

FROZEN = ROOT / "tests/data/params.yaml"


def count_changed(before: Path, after: Path) -> tuple[int, int]:
    """Return the number of lines removed and added."""
    old, new = (path.read_text().splitlines() for path in (before, after))
    marks = [line[0] for line in difflib.ndiff(old, new)]
    return marks.count("-"), marks.count("+")


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return Path(shutil.copy(FROZEN, tmp_path / "params.yaml"))


@pytest.mark.parametrize("override", ["train.epochs=20", "model.dropout=0.3", "evaluate.images=5"])
def test_experiment_changes_the_line_of_its_param_alone(params: Path, override: str) -> None:
    """As `dvc exp run -S` and the queue do, whose file `dvc exp apply` checks out."""
    apply_overrides(params, [override])
    assert count_changed(FROZEN, params) == (1, 1)


def test_another_layer_changes_one_line(params: Path) -> None:
    apply_overrides(params, ["model.conv_blocks=[[32,64,128],[16]]"])
    assert count_changed(FROZEN, params) == (0, 1)


def test_file_is_as_dvc_writes_it(params: Path) -> None:
    with modify_yaml(params):
        pass
    assert params.read_bytes() == FROZEN.read_bytes()
