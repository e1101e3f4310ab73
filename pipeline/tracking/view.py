"""Open the MLflow UI, with a view of the runs: what tells them apart and what they reached.

By itself, its table of runs shows neither params nor metrics. Which columns it shows can be kept
as a view, a tag of the experiment, that a link opens; the UI lists it under "Views", too.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from pipeline.core import stage
from pipeline.core.errors import PipelineError
from pipeline.core.package import command
from pipeline.serving.listener import HOST, bind
from pipeline.tracking import runs, store
from pipeline.tracking.store_errors import plain_errors

KEY = store.EXPERIMENT
TAG = f"mlflow.sharedViewState.{KEY}"
METRICS = ["test_accuracy", "test_errors", "val_accuracy"]
# What the parents of several seeds and of a sweep show, by the tag that such a parent has.
GROUP_METRICS = {
    runs.RECIPE_TAG: ["seeds_accuracy_mean", "seeds_accuracy_std"],
    runs.SWEEP_TAG: ["best_val_accuracy"],
}
# Data set, network and what is changed most come first, then the metrics. All others can be added
# under "Columns".
FIRST_PARAMS = [
    "prepare.dataset",
    "model.conv_blocks",
    "model.dropout",
    "train.epochs",
    "train.learning_rate",
]
OTHER_PARAMS = [
    "model.dense_units",
    "train.batch_size",
    "train.optimizer",
    "train.learning_rate_schedule",
    "train.seed",
]
CHARTS = "^((val_)?(accuracy|loss)|test_(accuracy|errors))$"  # of more than 30 metrics


def describe_view() -> str:
    """Return the view as the UI writes it, which takes what is left out as it is by itself."""
    headings = {f"params.`{name}`": name for name in FIRST_PARAMS}
    headings |= {_metric(name): name for name in METRICS}
    headings |= {f"params.`{name}`": name for name in OTHER_PARAMS}
    columns = [*headings, *(f"attributes.`{name}`" for name in ("Dataset", "Models", "Source"))]
    state = {
        "selectedColumns": columns,
        "columnOrder": columns,
        # In pixels, so that headings are not cut off.
        "columnWidths": {column: _width(name) for column, name in headings.items()},
        "chartsSearchFilter": CHARTS,
    }
    return json.dumps({"name": "Params and metrics", "createdAt": 0, "state": json.dumps(state)})


def show_groups(view: str, metrics: Sequence[str]) -> str:
    """Add to a view the columns of what the parents of runs show, after the other metrics."""
    described = json.loads(view)
    state = json.loads(described["state"])
    start = len(FIRST_PARAMS) + len(METRICS)
    for number, name in enumerate(metrics, start=start):
        if _metric(name) not in state["columnOrder"]:
            state["columnOrder"].insert(number, _metric(name))
            state["selectedColumns"].append(_metric(name))
            state["columnWidths"][_metric(name)] = _width(name)
    return json.dumps(described | {"state": json.dumps(state)})


def _metric(name: str) -> str:
    return f"metrics.`{name}`"


def _width(heading: str) -> int:
    return 35 + 7 * len(heading)


def give_view() -> str:
    """Give the experiment its view, unless it has one; return the experiment's id."""
    with plain_errors():
        client, experiment = store.open_store()
        known = client.get_experiment(experiment).tags.get(TAG)
        view = known or describe_view()
        for tag, metrics in GROUP_METRICS.items():
            if client.search_runs([experiment], f"tags.`{tag}` LIKE '%'", max_results=1):
                view = show_groups(view, metrics)
        if view != known:
            client.set_experiment_tag(experiment, TAG, view)
    return experiment


def main() -> None:
    """Print the link that opens the view, and become the server that answers there."""
    parser = argparse.ArgumentParser(
        prog=command("tracking.view"), description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("--port", type=int, default=5000, help="on 127.0.0.1 (default: 5000)")
    port = parser.parse_args().port
    uri = store.tracking_uri()
    if urlsplit(uri).scheme.startswith("http"):
        raise PipelineError("MLFLOW_TRACKING_URI is a server: open its address in the browser")
    bind(port).close()  # so that a port in use is told before the server starts
    query = f"workflowType=machine_learning&viewStateShareKey={KEY}"
    runs_page = f"http://{HOST}:{port}/#/experiments/{give_view()}/runs?{query}"
    print(f"Runs: {runs_page}", flush=True)
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    server = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)]
    server += ["--workers", "1", "--backend-store-uri", uri]
    os.execv(sys.executable, [*server, "--default-artifact-root", "mlartifacts"])  # noqa: S606


if __name__ == "__main__":
    stage.run(main)
