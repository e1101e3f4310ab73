"""Write the run of the present training: a process of its own, told by `TrainingRun` what to write.

So MLflow is imported while TensorFlow is, on another core; a store that hangs can be left behind;
and the run of a killed training process is ended, since its pipe closes.
"""

import json
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from pipeline.core import files
from pipeline.core.errors import PipelineError
from pipeline.model.paths import MODEL
from pipeline.provenance.origin import Origin
from pipeline.tracking import deadline, runs, store
from pipeline.tracking.store_errors import plain_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient

END = ""  # of the lines, none of which is empty
# Longer than training waits: only where that was killed does nobody else end this process.
MORE_SECONDS = 5.0


def record(lines: Iterable[str]) -> None:
    """Write what each line says, as JSON: first what the run begins with, last how it ends."""
    store.import_mlflow()  # while training gets ready
    messages = map(json.loads, lines)
    beginning = next(messages, None)
    if beginning is None:
        return  # training was stopped before it had begun
    origin = Origin(**beginning.pop("origin"))
    client, experiment = store.open_store()
    run, logged = _open(client, experiment, origin, **beginning)
    ending: dict[str, Any] = {"status": "KILLED"}  # if nothing else comes
    for message in messages:
        if "status" in message:
            ending = message
        elif message.get("step") not in logged:
            runs.log_metrics(client, run, **message)
    if ending["status"] == "FINISHED":
        _keep(client, experiment, run, ending["seconds"])
    else:
        runs.end(client, run, **ending)


def _open(
    client: "MlflowClient",
    experiment: str,
    origin: Origin,
    *,
    params: Mapping[str, object],
    tags: Mapping[str, str],
    seconds: float,
) -> tuple[str, Collection[int]]:
    """Return the run of the present training and its epochs: the interrupted one, or a new one.

    Whether training itself resumes or restarts: with the same key, epochs come out the same.
    """
    training, key = tags[runs.TRAINING_TAG], tags[runs.KEY_TAG]
    for run in runs.find_interrupted(client, experiment, training, key):
        if run.info.status == "RUNNING":
            time.sleep(MORE_SECONDS)  # this process of the training that was killed may yet write
        logged = {point.step for point in client.get_metric_history(run.info.run_id, "loss")}
        runs.reopen(client, run, tags)
        return run.info.run_id, logged
    return runs.begin(client, experiment, params, origin, tags, seconds), ()


def _keep(client: "MlflowClient", experiment: str, run: str, seconds: float) -> None:
    """End a run whose training is done, or remove it if there is one of the same result."""
    model_md5 = files.md5(MODEL)
    training = client.get_run(run).data.tags[runs.TRAINING_TAG]
    same = {runs.TRAINING_TAG: training, runs.MODEL_TAG: model_md5}
    known = runs.find(client, experiment, same)
    complete = [
        other for other in known if other.info.run_id != run and runs.STATE_TAG in other.data.tags
    ]
    client.set_tag(run, runs.MODEL_TAG, model_md5)
    runs.end(client, run, "FINISHED", seconds=seconds)
    if complete:
        client.delete_run(run)
        print(runs.describe("reproduced", complete[0]), flush=True)


def main() -> None:
    """Write what comes in; say in one line why that cannot be done, and leave training alone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whatever ends training too, its pipe tells how
    lines: SimpleQueue[str] = SimpleQueue()
    faults: list[PipelineError] = []

    def write() -> None:
        try:
            with plain_errors():
                record(iter(lines.get, END))
        except PipelineError as error:
            faults.append(error)
            deadline.warn(error)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    for line in sys.stdin:  # at once, so that none is lost in a full pipe while a store is slow
        lines.put(line)
    lines.put(END)
    limit = deadline.remaining() + MORE_SECONDS
    writer.join(limit)
    if writer.is_alive():
        deadline.warn(deadline.no_answer(limit))
        deadline.exit_now(1)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
