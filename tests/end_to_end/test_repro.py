"""`make repro`: what it says at its end."""

import json
import re

import pytest

from tests.conftest import Clone
from tests.ui import use_this_environment


@pytest.mark.untracked
def test_repro_ends_with_what_changed_against_head(clone: Clone) -> None:
    use_this_environment(clone)
    metrics = json.loads((clone.path / "metrics/evaluation.json").read_text())
    output = clone.run("make", "-o", "venv", "repro").stdout
    assert "Data and pipelines are up to date." in output
    assert f"Test accuracy {metrics['accuracy']:.4f}, 95% interval" in output
    assert f"{metrics['errors']} of 300 images" in output
    assert re.search(r"HEAD: same bytes as committed, in all \d\d outputs", output)
    assert "make ui" in output

    clone.edit_params({"evaluate.confidence": 0.9})
    output = clone.run("make", "-o", "venv", "repro").stdout
    assert "Running stage 'evaluate'" in output
    accuracy, errors = f"{metrics['accuracy']:.4f}", metrics["errors"]
    same = (
        f"HEAD: test accuracy {accuracy} → {accuracy} (+0.00 points), errors {errors} → {errors}."
    )
    assert same in output
    assert "dvc push" not in output  # there is no remote

    clone.run("dvc", "remote", "add", "--default", "store", "/nowhere")
    clone.run("git", "checkout", "params.yaml")
    output = clone.run("make", "-o", "venv", "repro").stdout
    assert "same bytes as committed" in output
    assert "dvc push" in output


@pytest.mark.untracked
def test_repro_that_fails_ends_with_dvcs_exit_code(clone: Clone) -> None:
    use_this_environment(clone)
    (clone.path / "dvc.yaml").write_text("stages: 1\n")
    result = clone.run("python", "-m", "pipeline.repro", check=False)
    assert result.returncode == 255
    assert "Test accuracy" not in result.stdout
