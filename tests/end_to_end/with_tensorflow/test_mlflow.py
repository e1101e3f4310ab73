"""What stands in MLflow after the real pipeline has run."""

import json
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run
from ruamel.yaml import YAML

from tests.conftest import Clone
from tests.mlflow_store import md5, runs_of


@pytest.fixture
def only_run(reproduced: Clone) -> Run:
    (run,) = runs_of(reproduced)
    return run


def test_run_has_all_params_and_is_finished(reproduced: Clone, only_run: Run) -> None:
    params = YAML(typ="safe").load(reproduced.path / "params.yaml")
    expected = {f"{s}.{key}": str(value) for s in params for key, value in params[s].items()}
    assert only_run.data.params == expected
    assert only_run.info.status == "FINISHED"
    assert "incomplete" not in only_run.data.tags


def test_run_has_the_history_by_epoch(reproduced: Clone, only_run: Run) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{reproduced.path}/mlflow.db")
    history = pd.read_csv(reproduced.path / "metrics/history.csv")
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        points = sorted(
            client.get_metric_history(only_run.info.run_id, name), key=lambda point: point.step
        )
        assert [point.step for point in points] == history["epoch"].tolist()
        np.testing.assert_allclose([point.value for point in points], history[name], atol=1e-6)


def test_run_has_the_test_metrics_and_facts(reproduced: Clone, only_run: Run) -> None:
    evaluation = json.loads((reproduced.path / "metrics/evaluation.json").read_text())
    metrics = only_run.data.metrics
    for name in ("accuracy", "accuracy_low", "accuracy_high", "loss", "errors"):
        assert metrics[f"test_{name}"] == evaluation[name]
    assert metrics["test_recall.3"] == evaluation["recall"]["3"]
    assert metrics["training_seconds"] > 0
    assert metrics["images_per_second"] > 0
    assert metrics["peak_memory_mb"] > 100
    # Convolutions of 4 and 8 filters, pooling from 24x24 to 12x12, dense layers of 16 and 10.
    assert metrics["network_weights"] == 40 + 37 * 8 + (12 * 12 * 8 + 1) * 16 + 17 * 10


def test_run_has_figures_metrics_files_and_data_sets(reproduced: Clone, only_run: Run) -> None:
    artifacts = Path(only_run.info.artifact_uri.removeprefix("file://"))
    assert artifacts.is_relative_to(reproduced.path / "mlartifacts")
    files = sorted((artifacts / "metrics").iterdir())
    names = ["dataset.json", "errors.csv", "evaluation.json", "history.csv"]
    assert [file.name for file in files] == names
    for file in files:
        assert file.read_bytes() == (reproduced.path / "metrics" / file.name).read_bytes()
    for name in ("figures", "network"):
        drawn, logged = (
            {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.png")}
            for folder in (reproduced.path / "metrics" / name, artifacts / name)
        )
        assert logged == drawn
        assert drawn
    assert only_run.inputs
    digests = {
        (used.dataset.name, used.tags[0].value): used.dataset.digest
        for used in only_run.inputs.dataset_inputs
    }
    prepared = reproduced.path / "data/prepared"
    assert digests == {
        (f"mnist-{name}", context): md5(prepared / f"{name}_images.npy")
        for name, context in {"train": "training", "val": "validation", "test": "test"}.items()
    }


def test_run_is_tagged_with_commit_and_model(reproduced: Clone, only_run: Run) -> None:
    start = reproduced.run("git", "rev-parse", "HEAD~").stdout.strip()
    tags = only_run.data.tags
    assert tags["mlflow.source.git.commit"] == start
    assert tags["mlflow.source.git.branch"] == "main"
    assert tags["model_md5"] == md5(reproduced.path / "models/model.keras")


def test_logged_model_is_dvcs_file_and_loads(
    reproduced: Clone, only_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reproduced.path)
    mlflow.set_tracking_uri(f"sqlite:///{reproduced.path}/mlflow.db")
    assert only_run.outputs
    (output,) = only_run.outputs.model_outputs
    uri = f"models:/{output.model_id}"
    folder = Path(mlflow.artifacts.download_artifacts(uri))
    assert (folder / "data/model.keras").read_bytes() == (
        reproduced.path / "models/model.keras"
    ).read_bytes()

    logged = mlflow.MlflowClient().get_logged_model(output.model_id)
    assert logged.params["train.epochs"] == "2"
    assert "evaluate.confidence" not in logged.params
    (accuracy,) = (m for m in logged.metrics or [] if m.key == "test_accuracy")
    test_images = md5(reproduced.path / "data/prepared/test_images.npy")
    assert (accuracy.dataset_name, accuracy.dataset_digest) == ("mnist-test", test_images)

    info = mlflow.models.get_model_info(uri)
    assert info.signature.inputs.inputs[0].shape == (-1, 28, 28, 1)
    assert info.signature.inputs.inputs[0].type == np.dtype("uint8")
    assert info.signature.outputs.inputs[0].shape == (-1, 10)
    requirements = (folder / "requirements.txt").read_text().split()
    assert [line.split("==")[0] for line in requirements] == ["mlflow", "keras", "tensorflow"]

    model = mlflow.pyfunc.load_model(uri)
    probabilities = model.predict(np.asarray(model.input_example))
    predictions = pd.read_csv(reproduced.path / "metrics/predictions.csv")
    assert probabilities.argmax() == predictions["predicted"][0]


def test_metrics_appear_while_training(clone: Clone) -> None:
    clone.edit_params({"train.epochs": 500, "prepare.train_samples": 2000})
    clone.run("dvc", "repro", "prepare")
    training = clone.popen("python", "-m", "pipeline.train")
    try:
        deadline = time.monotonic() + 120
        epochs = 0.0
        while not epochs and training.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
            running = [run for run in runs_of(clone) if run.info.status == "RUNNING"]
            epochs = sum("val_accuracy" in run.data.metrics for run in running)
        assert epochs == 1
        assert training.poll() is None
    finally:
        training.terminate()
        training.communicate(timeout=60)
    assert sorted(run.info.status for run in runs_of(clone)) == ["FINISHED", "KILLED"]


def test_publishing_does_not_load_tensorflow(clone: Clone) -> None:
    for name in ("mlflow.db", "mlartifacts"):
        clone.run("rm", "-r", name)
    output = clone.run("python", "-X", "importtime", "-m", "pipeline.publish").stdout
    assert "MLflow: created run" in output
    modules = {line.rpartition("|")[2].strip() for line in output.splitlines()}
    assert "mlflow" in modules
    assert not modules & {"tensorflow", "keras"}
