"""Search a team's MLflow server on PostgreSQL: python -m benchmarks.search.

`make mlflow-server` on a new PostgreSQL gets the run of the working tree, which must be
reproduced, and copies of it with another seed, state and other values of its metrics. Searched
are 10 runs, and then 1,000 on the same server, once PostgreSQL has analyzed its tables, which it
does by itself within a minute. The server shares the cores with what asks it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import numpy as np
from mlflow.entities import Metric, Param, Run

from benchmarks.clone import ROOT
from benchmarks.machine import describe_processor
from benchmarks.table import Target, number, table, table_of_targets
from benchmarks.team_server import postgres, team_server

COUNTS = (10, 1000)  # of runs
PAGE = 100  # runs that a search returns at most, as in the UI
# Targets for the most runs: to find one among them, to among the fewest, and to return a page.
MORE, PAGE_MS = 1.5, 1000
SEARCHES = {  # conditions and order
    "the latest": ("", "start_time DESC"),
    "the best": ("", "metrics.test_accuracy DESC"),
    "by two params": ("params.`model.dropout` = '0.0' and params.`train.seed` = '7'", None),
    "by the tag of a state": ("tags.state = 'state 7'", None),
}


def make_copy(client: mlflow.MlflowClient, run: Run, curves: list[Metric], place: int) -> None:
    """Copy a run, with the given number in place of seed and state."""
    factor = 1 - place * 0.618 % 1 / 10  # any two differ
    start, tags = run.info.start_time + place, run.data.tags | {"state": f"state {place}"}
    params = run.data.params | {"train.seed": str(place)}
    copy = client.create_run(run.info.experiment_id, start, tags).info.run_id
    metrics = [Metric(one.key, factor * one.value, start, one.step) for one in curves]
    client.log_batch(copy, metrics, [Param(*param) for param in params.items()])
    if run.inputs and run.outputs:
        client.log_inputs(copy, datasets=run.inputs.dataset_inputs)
        client.log_outputs(copy, run.outputs.model_outputs)
    client.set_terminated(copy, end_time=start + 1)


def measure(
    client: mlflow.MlflowClient, experiment: str, times: int
) -> dict[str, tuple[int, list[float]]]:
    """Do all searches in turns; return the runs that each finds, and the ms that it took."""
    found: dict[str, tuple[int, list[float]]] = {}
    for _ in range(times):
        for name, (condition, order) in SEARCHES.items():
            start = time.perf_counter()
            runs = client.search_runs([experiment], condition, 1, PAGE, [order] if order else None)
            taken = 1000 * (time.perf_counter() - start)
            found[name] = len(runs), [*found.get(name, (0, []))[1], taken]
    return found


def search(client: mlflow.MlflowClient, run: Run, times: int, variables: dict[str, str]) -> str:
    """Fill the server, search it, and return the tables; the variables say where PostgreSQL is."""
    histories = [client.get_metric_history(run.info.run_id, key) for key in run.data.metrics]
    curves, measured, made = [point for history in histories for point in history], [], 1
    data = run.data
    print(
        f"Each run has {len(data.params)} params, {len(data.metrics)} metrics with {len(curves)} "
        f"points, {len(data.tags)} tags, three data sets and a model.\n"
    )
    for count in COUNTS:
        start = time.perf_counter()
        for place in range(made, count):
            make_copy(client, run, curves, place)
        print(f"{count - made} copies: {time.perf_counter() - start:.0f} s", file=sys.stderr)
        made = count
        # Until then it takes the tables to be nearly empty, and may choose slow plans.
        analyze = ["vacuumdb", "--analyze-only", "--quiet", "mlflow"]
        subprocess.run(analyze, env=os.environ | variables, check=True)  # noqa: S603
        measured.append(measure(client, run.info.experiment_id, times))
    rows, targets = [], []
    for name, (condition, _) in SEARCHES.items():
        found, medians, tails = [], [], []
        for one in measured:
            count, taken = one[name]
            found.append(str(count))
            medians.append(float(np.percentile(taken, 50)))
            tails.append(float(np.percentile(taken, 95)))
        columns = zip(found, map(number, medians), map(number, tails), strict=True)
        rows.append([name, *(cell for cells in columns for cell in cells)])
        if condition:
            growth = medians[-1] / medians[0]
            limit = f"at most {MORE} times as long"
            targets.append(Target(name, limit, number(growth), growth <= MORE))
        else:
            limit = f"at most {PAGE_MS} ms"
            targets.append(Target(name, limit, f"{medians[-1]:.0f} ms", medians[-1] <= PAGE_MS))
    header = [f"{count:,} runs: {what}" for count in COUNTS for what in ("found", "ms", "95 %, ms")]
    return f"{table(['search', *header], rows)}\n\n{table_of_targets(targets)}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=30, help="of each search (default: 30)")
    times = parser.parse_args().times
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres() as variables,
        team_server(variables, Path(folder)) as user,
    ):
        os.environ |= user | {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
        publish = [sys.executable, "-m", "pipeline.publish"]
        subprocess.run(publish, cwd=ROOT, stdout=sys.stderr, check=True)  # noqa: S603
        client = mlflow.MlflowClient()
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        (run,) = client.search_runs(experiments)
        print(f"{describe_processor()}\n")
        print(search(client, run, times, variables))


if __name__ == "__main__":
    main()
