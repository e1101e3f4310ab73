"""What a run has of a state: epochs that are its own, its numbers, and pictures still drawn."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.tracking.content import describe, has_epochs_of, read_results, remove_undrawn

HISTORY = """epoch,loss,accuracy,val_loss,val_accuracy
1,0.900000,0.700000,0.800000,0.750000
2,0.500000,0.800000,0.400000,0.850000
"""


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        ({}, True),
        ({1: 0.8}, True),
        ({1: 0.8, 2: 0.4}, True),
        ({1: 0.800001}, False),
        ({1: 0.8, 2: 0.4, 3: 0.3}, False),
    ],
)
def test_run_with_other_epochs_is_of_another_state(
    tmp_path: Path, logged: dict[int, float], expected: bool
) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/history.csv").write_text(HISTORY)
    points = [SimpleNamespace(step=step, value=value) for step, value in logged.items()]
    client: Any = SimpleNamespace(get_metric_history=lambda _run, _name: points)
    run: Any = SimpleNamespace(info=SimpleNamespace(run_id="run"))
    snapshot: Any = SimpleNamespace(folder=tmp_path)
    assert has_epochs_of(client, run, snapshot) is expected


def test_description_says_in_two_lines_what_a_run_is(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    evaluation = {"accuracy": 0.95, "accuracy_low": 0.94, "accuracy_high": 0.96, "errors": 1050}
    splits = [{"split": "train", "samples": 52_000}, {"split": "test", "samples": 21_000}]
    for name, values in (("evaluation", evaluation), ("dataset", {"splits": splits})):
        (tmp_path / f"metrics/{name}.json").write_text(json.dumps(values) + "\n")
    params = {
        "prepare.dataset": "letters",
        "model.conv_blocks": [[32, 64]],
        "model.dense_units": [],
        "train.epochs": 20,
        "train.optimizer": "sgd",
        "train.learning_rate": 0.1,
        "train.seed": 3,
    }
    snapshot: Any = SimpleNamespace(folder=tmp_path, params=params)
    what, reached = describe(snapshot).split("\n\n")
    for words in ("letters", "52,000 training images", "[[32, 64]]", "20 epochs", "0.1", "seed 3"):
        assert words in what
    assert "**0.9500** (0.9400 to 0.9600): 1,050 of 21,000" in reached


@pytest.fixture
def logged(tmp_path: Path) -> Any:  # noqa: ANN401
    """A run with pictures of which the state of the folder `state` has only some."""
    for folder, names in {
        "run/artifacts": ("figures/loss", "figures/old", "network/maps/image_1", "network/old"),
        "state/metrics": ("figures/loss", "figures/new"),
    }.items():
        for name in names:
            path = tmp_path / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return SimpleNamespace(
        info=SimpleNamespace(run_id="run", artifact_uri=str(tmp_path / "run/artifacts"))
    )


def client_of(run: Any) -> Any:  # noqa: ANN401
    """Return what lists the artifacts of a run as MLflow's client does."""
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    repository: Any = LocalArtifactRepository(run.info.artifact_uri)
    return SimpleNamespace(list_artifacts=lambda _run, path: repository.list_artifacts(path))


def names_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}


def test_pictures_that_are_no_longer_drawn_are_removed_unless_none_were_pulled(
    logged: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    client = client_of(logged)
    kept = {"figures/loss.png", "network/maps/image_1.png", "network/old.png"}

    assert remove_undrawn(client, logged, tmp_path / "state") == ""
    assert names_of(tmp_path / "run/artifacts") == kept

    (tmp_path / "state/metrics/network/maps").mkdir(parents=True)
    (tmp_path / "state/metrics/network/maps/image_1.png").touch()
    assert remove_undrawn(client, logged, tmp_path / "state") == ""
    assert names_of(tmp_path / "run/artifacts") == kept - {"network/old.png"}


def test_store_that_removes_nothing_is_said(
    logged: Any,  # noqa: ANN401
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    def refuse(*_: object) -> None:
        raise PermissionError("403 Client Error: FORBIDDEN")

    monkeypatch.setattr(LocalArtifactRepository, "delete_artifacts", refuse)

    assert remove_undrawn(client_of(logged), logged, tmp_path / "state") == (
        "it keeps figures/old.png, which is no longer drawn "
        "(MLflow: PermissionError: 403 Client Error: FORBIDDEN)"
    )


def test_numbers_of_every_result_are_metrics_but_those_of_the_data(tmp_path: Path) -> None:
    results = {
        "evaluation.json": {"accuracy": 0.5, "recall": {"50 %": 1.0, "b": None}},
        "robustness.json": {"accuracy": 0.25},
        "dataset.json": {"test_images_also_in": {"train": 0}},
        "errors.csv": {},
    }
    (tmp_path / "metrics").mkdir()
    for name, values in results.items():
        (tmp_path / "metrics" / name).write_text(json.dumps(values) + "\n")
    paths = [Path("metrics", name) for name in results]
    snapshot: Any = SimpleNamespace(folder=tmp_path, results=paths)

    assert read_results(snapshot) == {
        "test_accuracy": 0.5,
        "test_recall.50 _": 1.0,
        "robustness_accuracy": 0.25,
    }
