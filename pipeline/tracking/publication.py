"""One complete run for each state, however it came about."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.core import splits
from pipeline.model.paths import MODEL
from pipeline.provenance.committed import NoState, committed_snapshots, experiment_snapshots
from pipeline.provenance.params import Params
from pipeline.provenance.snapshot import Snapshot, present_snapshot
from pipeline.provenance.truth import FalseStateError
from pipeline.tracking import runs, store
from pipeline.tracking.content import add_missing, describe, has_epochs_of, remove_undrawn
from pipeline.tracking.store_errors import plain_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def publish_present(params: Params) -> str:
    """Make the store hold the present state as one complete run, and say what was done.

    Raises:
        DataError: a file of the state cannot be read.
        PipelineError: the store does not take it.
    """
    with plain_errors():
        client, experiment = store.open_store()
    try:
        snapshot = present_snapshot(params)
        with plain_errors():
            return publish(client, experiment, snapshot)
    finally:
        with plain_errors():
            _close_abandoned(client, experiment)


def publish_commits() -> Iterator[str]:
    """Publish every state that was committed, and say for each what was done.

    Raises:
        PipelineError: the store does not take it.
    """
    faults: list[NoState] = []
    states: set[str] = set()
    published = set()
    with plain_errors():
        client, experiment = store.open_store()
    for snapshot in committed_snapshots(faults):
        # A later commit of a state may have a result that there was no stage for before.
        content = (snapshot.state_id, *snapshot.results)
        if content not in published:
            with plain_errors():
                done = publish(client, experiment, snapshot)
            yield done
            published.add(content)
            states.add(snapshot.state_id)
    with plain_errors():
        for _, error in faults:
            if isinstance(error, FalseStateError) and error.state_id not in states:
                for run in runs.find(client, experiment, {runs.STATE_TAG: error.state_id}):
                    client.set_tag(run.info.run_id, runs.FALSE_TAG, str(error))
        _close_abandoned(client, experiment)
    yield from (f"commit {commit[:7]} holds no state: {error}" for commit, error in faults)
    yield f"MLflow: has the runs of {len(states)} committed states"


def publish_experiment(name: str) -> Iterator[None]:
    """Publish the states of the DVC experiments of that name which the store lacks, step by step.

    Raises:
        DataError: they are no states.
        PipelineError: the store does not take them.
    """
    faults: list[NoState] = []
    found = False
    with plain_errors():
        client, experiment = store.open_store()
    yield
    for snapshot in experiment_snapshots(name, faults):
        found = True
        with plain_errors():
            if not runs.find(client, experiment, {runs.STATE_TAG: snapshot.state_id}):
                publish(client, experiment, snapshot)
        yield
    if faults and not found:
        raise faults[0].error


def publish(client: "MlflowClient", experiment: str, snapshot: Snapshot) -> str:
    """Make the store hold a state as one complete run, and say what was done.

    The run that its training opened is completed; where no training was needed, or it could not
    be followed, a run is made from the files. What the run of a known state lacks is added, and
    a run whose training only reproduced it is removed.

    Raises:
        DataError: a file of the state cannot be read.
        Exception: whatever a store raises that does not take it.
    """
    known = runs.find(client, experiment, {runs.STATE_TAG: snapshot.state_id})
    trained, abandoned = _find_opened(client, experiment, snapshot)
    if known or trained or abandoned:
        run, *repeated = [*known, *trained] or abandoned[:1]
        done = "completed" if not known else "reproduced" if repeated else "refreshed"
    else:
        tags = {runs.TRAINING_TAG: snapshot.training_id, **runs.process_tags()}
        origin = snapshot.origin
        run_id = runs.begin(client, experiment, snapshot.params, origin, tags, origin.seconds)
        run, repeated, done = client.get_run(run_id), [], "created"
    has_model = add_missing(client, experiment, run, snapshot)
    _settle(client, run, snapshot)
    for other in repeated:
        client.delete_run(other.info.run_id)
    kept = remove_undrawn(client, run, snapshot.folder) if known and snapshot.is_present else ""
    line = runs.describe(done, client.get_run(run.info.run_id))
    line += "" if has_model else " without its model, which is not in DVC's cache"
    return f"{line}; {kept}" if kept else line


def _close_abandoned(client: "MlflowClient", experiment: str) -> None:
    """Mark the runs of this machine whose process was killed."""
    running = runs.find(client, experiment, runs.host_tag(), "attributes.status = 'RUNNING'")
    for run in running:
        if runs.is_abandoned(run):
            client.set_terminated(run.info.run_id, "KILLED")


def _find_opened(
    client: "MlflowClient", experiment: str, snapshot: Snapshot
) -> "tuple[list[Run], list[Run]]":
    """Return the incomplete runs whose training made this state, and those that may have.

    These are all that was written before the store failed while training went on, or was killed.
    """
    incomplete = {runs.TRAINING_TAG: snapshot.training_id, runs.INCOMPLETE_TAG: runs.NOT_EVALUATED}
    found = runs.find(client, experiment, incomplete)
    md5 = snapshot.digests[MODEL]
    trained = [run for run in found if run.data.tags.get(runs.MODEL_TAG) == md5]
    abandoned = [run for run in found if runs.is_abandoned(run)]
    return trained, [run for run in abandoned if has_epochs_of(client, run, snapshot)]


def _settle(client: "MlflowClient", run: "Run", snapshot: Snapshot) -> None:
    """Say where the state comes from, and last that this is its run."""
    from mlflow.entities import RunTag

    run_id, tags, origin = run.info.run_id, run.data.tags, snapshot.origin
    is_new = runs.STATE_TAG not in tags
    if is_new or (tags.get(runs.UNCOMMITTED_TAG) == "true" and not origin.uncommitted):
        # A name that tells what is special about the run stays with it.
        name = origin.name if is_new or run.info.run_name.endswith("+") else run.info.run_name
        runs.set_origin(client, run_id, origin, name)
    if is_new:
        md5 = {f"{name}_md5": split.images for name, split in splits.SPLITS.items()}
        md5 |= {"test_labels_md5": splits.TEST.labels, runs.MODEL_TAG: MODEL}
        values = {tag: snapshot.digests[path] for tag, path in md5.items()}
        values[runs.STATE_TAG] = snapshot.state_id
        client.log_batch(run_id, tags=[RunTag(tag, value) for tag, value in values.items()])
    if runs.DESCRIPTION_TAG not in tags:  # it may be the user's
        client.set_tag(run_id, runs.DESCRIPTION_TAG, describe(snapshot))
    if run.info.status == "RUNNING":
        runs.end(client, run_id, "FINISHED", seconds=_end_of(run, snapshot))
    for tag in {runs.INCOMPLETE_TAG, runs.FALSE_TAG} & client.get_run(run_id).data.tags.keys():
        client.delete_tag(run_id, tag)


def _end_of(run: "Run", snapshot: Snapshot) -> float | None:
    """Return when the training of a state ended, as far as it can be told."""
    seconds: float | None = snapshot.origin.seconds
    if seconds is None and snapshot.model:
        seconds = snapshot.model.stat().st_mtime
    return None if seconds is None else max(seconds, float(run.info.start_time) / 1000)
