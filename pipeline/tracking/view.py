"""Print where the MLflow UI shows the runs, with what tells them apart and what they reached.

By itself, its table of runs shows neither params nor metrics. Which columns it shows can be kept
as a view, a tag of the experiment, that a link opens; the UI lists it under "Views", too.
"""

import json
import sys

from pipeline import stage
from pipeline.tracking import store

KEY = "pipeline"
TAG = f"mlflow.sharedViewState.{KEY}"
METRICS = ["test_accuracy", "test_errors", "val_accuracy"]
# Those that are changed most; all others can be added under "Columns".
PARAMS = [
    "model.dropout",
    "train.epochs",
    "train.batch_size",
    "train.optimizer",
    "train.learning_rate",
    "train.learning_rate_schedule",
    "train.seed",
]
CHARTS = "^((val_)?(accuracy|loss)|test_(accuracy|errors))$"  # of more than 30 metrics


def describe_view() -> str:
    """Return the view as the UI writes it, which takes what is left out as it is by itself."""
    headings = {f"metrics.`{name}`": name for name in METRICS}
    headings |= {f"params.`{name}`": name for name in PARAMS}
    columns = [*headings, *(f"attributes.`{name}`" for name in ("Dataset", "Models", "Source"))]
    state = {
        "selectedColumns": columns,
        "columnOrder": columns,
        # In pixels, so that headings are not cut off.
        "columnWidths": {column: 35 + 7 * len(name) for column, name in headings.items()},
        "chartsSearchFilter": CHARTS,
    }
    return json.dumps({"name": "Params and metrics", "createdAt": 0, "state": json.dumps(state)})


def main() -> None:
    """Give the experiment its view, unless it has one, and print the link that opens it."""
    with store.plain_errors():
        client, experiment = store.open_store()
        if TAG not in client.get_experiment(experiment).tags:
            client.set_experiment_tag(experiment, TAG, describe_view())
    query = f"workflowType=machine_learning&viewStateShareKey={KEY}"
    print(f"Runs: {sys.argv[1]}/#/experiments/{experiment}/runs?{query}", flush=True)


if __name__ == "__main__":
    stage.run(main)
