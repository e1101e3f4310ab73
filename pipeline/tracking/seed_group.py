"""The runs of one recipe with several seeds, under one parent."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.core.package import command
from pipeline.provenance.committed import experiment_snapshots
from pipeline.provenance.paths import SEEDS
from pipeline.provenance.snapshot import Snapshot
from pipeline.provenance.spread import SEED, Spread
from pipeline.tracking import runs, store
from pipeline.tracking.publication import publish
from pipeline.tracking.store_errors import plain_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARENT_TAG = "mlflow.parentRunId"


def try_store() -> Iterator[None]:
    """Open the store, in one step.

    Raises:
        PipelineError: it does not answer as it should.
    """
    with plain_errors():
        store.open_store()
    yield


def group_runs(
    present: Snapshot, recipe: str, experiments: Mapping[int, str], spread: Spread
) -> Iterator[None]:
    """Make the store show the runs of `spread` as children of one run, step by step.

    A run that the store lacks is published again. The parent shows the spread; a repeated call
    finds it by its recipe.

    Args:
        present: the present state.
        recipe: id of the recipe.
        experiments: the name of the DVC experiment of each seed but the present one.
        spread: of the recipe, as in `metrics/seeds.json`.

    Raises:
        PipelineError: the store does not take it.
    """
    with plain_errors():
        client, experiment = store.open_store()
        yield
        children = []
        for run in spread.runs:
            wanted = {runs.STATE_TAG: run.state}
            if not runs.find(client, experiment, wanted):
                name = experiments.get(run.seed)
                for snapshot in experiment_snapshots(name, []) if name else [present]:
                    publish(client, experiment, snapshot)
            children += runs.find(client, experiment, wanted)
            yield
        parent = _open_parent(client, experiment, recipe, children, present)
        former = _adopt(client, parent, children)
        _show_spread(client, parent, spread)
        for run_id in former:
            if not runs.find(client, experiment, {PARENT_TAG: run_id}):
                client.delete_run(run_id)
        yield


def _open_parent(
    client: "MlflowClient",
    experiment: str,
    recipe: str,
    children: "Sequence[Run]",
    present: Snapshot,
) -> "Run":
    """Return the parent of a recipe, which is made if there is none, named after the present run.

    Like that, it gets its final name when the state has been committed.
    """
    names = {child.data.tags[runs.STATE_TAG]: child.info.run_name for child in children}
    name = f"seeds of {names[present.state_id]}"
    found = runs.find(client, experiment, {runs.RECIPE_TAG: recipe})
    if found:
        parent = found[-1]  # the first that was made
        if parent.info.run_name.endswith("+"):
            runs.set_origin(client, parent.info.run_id, present.origin, name)
        return parent
    tags = {
        runs.RECIPE_TAG: recipe,
        "mlflow.source.name": command("seeds"),
        "mlflow.source.type": "LOCAL",
        "mlflow.user": present.origin.user,
        **runs.process_tags(),
    }
    parent = client.create_run(experiment, tags=tags)
    runs.set_origin(client, parent.info.run_id, present.origin, name)
    params = {name: value for name, value in present.params.items() if name != SEED}
    runs.log_params(client, parent.info.run_id, params)
    return client.get_run(parent.info.run_id)


def _adopt(client: "MlflowClient", parent: "Run", children: "list[Run]") -> set[str]:
    """Move runs under a parent; return the ids of those that they were under before.

    Code that changes no result makes another recipe of the same states.
    """
    former = set()
    for child in children:
        before = child.data.tags.get(PARENT_TAG)
        if before != parent.info.run_id:
            client.set_tag(child.info.run_id, PARENT_TAG, parent.info.run_id)
            former |= {before} if before else set()
    return former


def _show_spread(client: "MlflowClient", parent: "Run", spread: Spread) -> None:
    run_id = parent.info.run_id
    values = {"seeds": float(spread.seeds)}
    values |= {f"seeds_{name}": value for name, value in spread.summary.items()}
    shown = parent.data.metrics
    changed = {name: value for name, value in values.items() if shown.get(name) != value}
    if changed:
        runs.log_metrics(client, run_id, changed)
        client.log_artifact(run_id, str(SEEDS), SEEDS.parent.name)
        described = (
            f"{spread.seeds} seeds of one recipe, each a run below.\n\nMean test accuracy "
            f"**{spread.accuracy_mean:.4f}**, standard deviation {spread.accuracy_std:.4f}."
        )
        client.set_tag(run_id, runs.DESCRIPTION_TAG, described)
    if parent.info.status != "FINISHED":
        runs.end(client, run_id, "FINISHED")
