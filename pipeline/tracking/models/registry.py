"""MLflow's model registry: the versions of a data set's model, and which one is the champion."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.core import files
from pipeline.core.errors import PipelineError
from pipeline.core.package import command
from pipeline.evaluation.predictions import parse_predictions
from pipeline.model.paths import MODEL
from pipeline.provenance.git import read, resolve
from pipeline.provenance.paths import LOCK
from pipeline.provenance.recorded import LockedStage, parse_stages
from pipeline.tracking import runs
from pipeline.tracking.store import MODEL_PREFIX

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"  # the alias that is served


def name_model(dataset: str) -> str:
    """Return what the registered model of a data set is called."""
    return f"{MODEL_PREFIX}{dataset}"


def find_run(client: "MlflowClient", experiment: str, state_id: str) -> "Run":
    """Return the run of a state.

    Raises:
        PipelineError: it has none.
    """
    found = runs.find(client, experiment, {runs.STATE_TAG: state_id})
    if not found:
        raise PipelineError(f"MLflow: this state has no run; `{command('publish')}` makes it")
    return found[0]


def find_champion(client: "MlflowClient", name: str) -> "ModelVersion | None":
    """Return the version of the model `name` that has the alias, if there is one."""
    for model in client.search_registered_models(f"name = '{name}'"):
        if number := model.aliases.get(CHAMPION):
            return client.get_model_version(name, number)
    return None


def download_model(version: "ModelVersion", folder: Path) -> Path:
    """Copy the Keras file of a version into a folder, and return where it lies.

    Raises:
        PipelineError: it is not the file that the version's commit has in `dvc.lock`.
    """
    import mlflow

    title = f"{version.name} version {version.version} is not used:"
    commit = version.tags.get("commit", "")
    if not (commit and resolve(commit)):
        raise PipelineError(
            f"{title} its commit {commit[:7] or 'is not named, nor'} is not in this repository, "
            "which alone says what its model is; `git fetch` may bring it"
        )
    stages = parse_stages(read(commit, LOCK), LockedStage)
    committed = {out.path: out.md5 for stage in stages.values() for out in stage.outs}
    uri = f"models:/{version.name}/{version.version}/data/model.keras"
    path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))
    if files.md5(path) != committed.get(str(MODEL)):
        raise PipelineError(
            f"{title} the model in MLflow is not the one in {LOCK} of its commit {commit[:7]}; "
            "somebody has replaced it. Delete the version in the MLflow UI, check out that commit, "
            f"and `{command('promote')}`"
        )
    return path


def read_classes(version: "ModelVersion") -> list[str]:
    """Return the names of a version's classes, in the order of the probabilities."""
    import mlflow

    uri = f"models:/{version.name}/{version.version}"
    return list((mlflow.models.get_model_info(uri).metadata or {}).get("classes", []))


def make_champion(client: "MlflowClient", version: "ModelVersion", description: str) -> None:
    """Move the alias to a version, and say there what speaks for it."""
    client.update_model_version(version.name, version.version, description)
    client.set_registered_model_alias(version.name, CHAMPION, version.version)


def register(
    client: "MlflowClient", name: str, run: "Run", tags: Mapping[str, str]
) -> "ModelVersion":
    """Return the version of the model `name` for the state of `run`, made if there is none.

    Args:
        client: of the store.
        name: of the registered model, made if there is none.
        run: the state's.
        tags: for a new version; the state is added.

    Raises:
        PipelineError: the run has no model.
    """
    state_id = run.data.tags[runs.STATE_TAG]
    known = client.search_model_versions(
        f"name = '{name}' and tags.{runs.STATE_TAG} = '{state_id}'"
    )
    models = run.outputs.model_outputs if run.outputs else []
    if not models:
        raise PipelineError(
            f"MLflow: run {run.info.run_name} ({run.info.run_id}) has no model; delete the run, "
            f"and `{command('publish')}` makes it again"
        )
    model_id = models[0].model_id
    for version in known:
        if version.source == f"models:/{model_id}":  # otherwise its model was removed
            return version
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    return client.create_model_version(
        name,
        source=f"models:/{model_id}",
        run_id=run.info.run_id,
        model_id=model_id,
        tags={runs.STATE_TAG: state_id, **tags},
    )


def read_errors(
    client: "MlflowClient", version: "ModelVersion", images_md5: str, labels_md5: str
) -> pd.DataFrame:
    """Return the test images that a version misclassified, as in `metrics/errors.csv`.

    Args:
        client: of the store.
        version: of a registered model.
        images_md5: MD5 of the test images that they must be among.
        labels_md5: MD5 of the labels of these images.

    Raises:
        PipelineError: it was tested on other images, or nothing is known of its test.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    title = f"{CHAMPION}, version {version.version} of {version.name},"
    remedy = (
        f"or, to start over, remove the alias {CHAMPION} from it in the MLflow UI (`make ui`, "
        "Model registry): the next promotion is then the first"
    )
    try:
        run = client.get_run(version.run_id or "")
        text = mlflow.artifacts.load_text(f"runs:/{version.run_id}/metrics/errors.csv")
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # the store did not answer
            raise
        raise PipelineError(
            f"{title} has no run any more, so nothing is known of its errors; check out its commit "
            f"and `{command('publish')}`, {remedy}"
        ) from error
    tested = [
        used.dataset.digest
        for used in (run.inputs.dataset_inputs if run.inputs else [])
        if any(tag.value == "test" for tag in used.tags)
    ]
    same_labels = run.data.tags.get("test_labels_md5", labels_md5) == labels_md5
    if tested != [images_md5] or not same_labels:
        commit = version.tags.get("commit", "")[:7]
        raise PipelineError(
            f"{title} was tested on other images or labels, so the two cannot be compared; test "
            f"this model on the images of the champion's commit {commit} (`prepare` in "
            f"params.yaml), {remedy}"
        )
    return parse_predictions(text)
