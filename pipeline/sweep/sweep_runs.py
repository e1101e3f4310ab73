"""A search in MLflow: one parent, and a child for each trial that has ended.

These are no states of the pipeline: they carry none of the tags by which `publish` knows its runs.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.core.package import command
from pipeline.core.params import flatten
from pipeline.provenance.origin import describe_changes, present_origin
from pipeline.provenance.params import Params
from pipeline.sweep.journal import FAILED, FINISHED, Journal, Trial, find_best
from pipeline.tracking import runs, store
from pipeline.tracking.seed_group import PARENT_TAG
from pipeline.tracking.store_errors import plain_errors

if TYPE_CHECKING:
    from pipeline.tracking.store import MlflowClient

TRIAL_TAG = "trial"  # its number, on a child
OUTCOME_TAG = "outcome"


@dataclass(frozen=True)
class Sweep:
    """A search, as MLflow shows it.

    Attributes:
        sweep_id: its id.
        metric: by which the best is chosen.
        sign: 1 where a higher one is better, otherwise -1.
        params: all that trials do not set.
        journal: of its trials.
        children: run and status of each trial, by its number, once the store has been asked.
    """

    sweep_id: str
    metric: str
    sign: int
    params: Params
    journal: Journal
    children: dict[str, tuple[str, str]] = field(default_factory=dict)


def show_sweep(sweep: Sweep, status: str) -> Iterator[None]:
    """Make the store show a search, step by step; what it has already is not added again.

    Args:
        sweep: the search.
        status: RUNNING, KILLED or FINISHED.

    Raises:
        PipelineError: the store does not take it.
    """
    with plain_errors():
        client, experiment = store.open_store()
        yield
        parent = _open_parent(client, experiment, sweep)
        yield
        if not sweep.children:
            for run in runs.find(client, experiment, {PARENT_TAG: parent}):
                known = sweep.journal.trials.get(int(run.data.tags[TRIAL_TAG]))
                if run.info.status == "FAILED" and not (known and known.outcome == FAILED):
                    client.delete_run(run.info.run_id)  # the whole search failed, and restarts
                else:
                    sweep.children[run.data.tags[TRIAL_TAG]] = run.info.run_id, run.info.status
        for number, trial in sweep.journal.trials.items():
            run_id, has = sweep.children.get(str(number), ("", ""))
            if trial.outcome and has != _status(trial):
                run_id = run_id or _open_child(client, experiment, sweep, parent, trial)
                _complete(client, run_id, trial)
                sweep.children[str(number)] = run_id, _status(trial)
                yield
        _settle(client, parent, sweep, status)
        yield


def _open_parent(client: "MlflowClient", experiment: str, sweep: Sweep) -> str:
    found = runs.find(client, experiment, {runs.SWEEP_TAG: sweep.sweep_id})
    if found:
        run = found[-1]
        for name, value in runs.process_tags().items():
            if run.data.tags.get(name) != value:  # another process has begun it
                client.set_tag(run.info.run_id, name, value)
        return str(run.info.run_id)
    origin = present_origin(sweep.params)
    tags = {runs.SWEEP_TAG: sweep.sweep_id, **_source(origin.user), **runs.process_tags()}
    parent: str = client.create_run(experiment, tags=tags).info.run_id
    runs.set_origin(client, parent, origin, f"sweep {sweep.sweep_id}")
    return parent


def _open_child(
    client: "MlflowClient", experiment: str, sweep: Sweep, parent: str, trial: Trial
) -> str:
    base = flatten(sweep.params)
    params = base | trial.changes
    start = runs.to_ms(trial.times[0] if trial.times else None)
    tags = {
        PARENT_TAG: parent,
        TRIAL_TAG: str(trial.number),
        **_source(client.get_run(parent).data.tags["mlflow.user"]),
    }
    name = f"trial {trial.number}: {describe_changes(params, base)}"[:250]
    run: str = client.create_run(experiment, start, tags, name).info.run_id
    runs.log_params(client, run, params)
    return run


def _complete(client: "MlflowClient", run: str, trial: Trial) -> None:
    """Add the epochs that a child lacks, and end it."""
    logged = {point.step for point in client.get_metric_history(run, "val_loss")}
    points = zip(trial.epochs, trial.times, strict=True)
    metrics = [
        runs.metric(name, value, epoch, seconds)
        for epoch, (logs, seconds) in enumerate(points, start=1)
        if epoch not in logged
        for name, value in logs.items()
    ]
    runs.log(client, run, metrics)
    client.set_tag(run, OUTCOME_TAG, trial.outcome)
    seconds = trial.times[-1] if trial.times else None
    runs.end(client, run, _status(trial), trial.fault, seconds)


def _status(trial: Trial) -> str:
    return "FAILED" if trial.outcome == FAILED else "FINISHED"


def _settle(client: "MlflowClient", parent: str, sweep: Sweep, status: str) -> None:
    """Show on the parent what is best so far, and how it goes."""
    trials = sweep.journal.trials.values()
    shown: dict[str, float] = {
        "trials": sweep.journal.done,
        "trials_finished": sum(trial.outcome == FINISHED for trial in trials),
    }
    best = find_best(sweep.journal, sweep.metric, sweep.sign)
    if best:
        shown |= {"best_trial": best.number}
        shown |= {f"best_{name}": best.epochs[-1][name] for name in ("val_accuracy", "val_loss")}
    run = client.get_run(parent)
    changed = {name: v for name, v in shown.items() if run.data.metrics.get(name) != v}
    runs.log_metrics(client, parent, changed, seconds=time.time())
    if best and "best_trial" in changed:
        client.set_tag(parent, runs.DESCRIPTION_TAG, _describe_best(best, flatten(sweep.params)))
    if run.info.status == status:
        return
    if status == "RUNNING":
        client.update_run(parent, status)
    else:
        runs.end(client, parent, status)


def _describe_best(best: Trial, base: Mapping[str, object]) -> str:
    last = best.epochs[-1]
    return (
        f"Best so far is trial {best.number}: {describe_changes(dict(base) | best.changes, base)}."
        f"\n\nValidation accuracy **{last['val_accuracy']:.4f}**, loss {last['val_loss']:.4f}."
    )


def _source(user: str) -> dict[str, str]:
    return {
        "mlflow.source.name": command("sweep"),
        "mlflow.source.type": "LOCAL",
        "mlflow.user": user,
    }
