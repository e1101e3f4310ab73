"""What more than one worker needs is asked before anything is done."""

import pytest

from pipeline.core.errors import PipelineError
from pipeline.training.engine import require_engine


def test_one_worker_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.training.engine.find_spec", lambda _: None)
    require_engine(1)


def test_without_ray_more_workers_are_refused_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.training.engine.find_spec", lambda _: None)
    with pytest.raises(PipelineError, match=r"^params.yaml: train.workers: .*`make venv-ray`"):
        require_engine(2)


@pytest.mark.parametrize("workers", [1, 2])
def test_tf_config_is_refused_with_the_new_command(
    monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(PipelineError, match="`RAY_ADDRESS=HEAD:6379 dvc repro`"):
        require_engine(workers)
