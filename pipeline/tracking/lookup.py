"""Find the runs of given states, without making a store where there is none.

A process of its own, since MLflow takes seconds to import: it reads the ids from stdin, in JSON.
"""

import json
import sys
from collections.abc import Iterable
from urllib.parse import urlsplit

from pipeline.core import stage
from pipeline.tracking import runs, store
from pipeline.tracking.store_errors import plain_errors


def find_runs(states: Iterable[str]) -> dict[str, str]:
    """Return the name of the run of each state that has one, and where to find it.

    Raises:
        PipelineError: the store does not answer.
    """
    found = {}
    with plain_errors():
        place = store.find_experiment()
        if place is None:
            return {}
        client, experiment = place
        for state in states:
            for run in runs.find(client, experiment, {runs.STATE_TAG: state}):
                found[state] = f"{run.info.run_name} ({place_of(run.info.run_id, experiment)})"
    return found


def place_of(run_id: str, experiment: str) -> str:
    """Return the address of a run on a server, without a password; otherwise its id."""
    uri = urlsplit(store.shown_uri())
    if not uri.scheme.startswith("http"):
        return run_id
    return f"{uri.scheme}://{uri.netloc}{uri.path.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}"


def main() -> None:
    """Answer the question that comes by stdin."""
    store.import_mlflow()  # while the other process finds out the ids
    json.dump(find_runs(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    stage.run(main)
