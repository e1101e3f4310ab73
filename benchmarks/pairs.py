"""The plain script and the whole pipeline in turns, with bfloat16 where the processor is for it."""

from collections.abc import Sequence
from functools import partial
from statistics import median

from benchmarks.bench import Bench
from benchmarks.table import number, row_of_medians, table
from pipeline.training.processor import read_processor

STORE = """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
"""
CREATE_STORE = STORE + "mlflow.search_experiments()\n"
READ_THROUGHPUT = f"""{STORE}
runs = mlflow.search_runs(
    search_all_experiments=True,
    filter_string="params.`train.seed` = '%d' and params.`train.precision` = '%s'",
    max_results=1,
)
print(runs.loc[0, "metrics.images_per_second"])
"""
NO_BFLOAT16 = "This processor has no instructions for bfloat16, so that was not measured."
HEADER = [
    *("pair", "plain, s", "no stall, s", "pipeline, s", "pipeline to plain"),
    *("plain, images/s", "no stall, images/s", "pipeline, images/s"),
    *("pipeline to plain", "pipeline to no stall"),
]
MIXED_HEADER = ["bfloat16, s", "bfloat16 to plain", "bfloat16 to float32, images/s"]
Measured = tuple[float, float]  # seconds, and images per second in `fit`


def measure_pairs(bench: Bench) -> str:
    """Run the plain script, the same without the stall, and the whole pipeline, in turns.

    Each pair has its own seed, so that each `dvc repro` makes a new MLflow run.
    """
    first, again = (bench.run("python", "-c", CREATE_STORE) for _ in range(2))
    kinds = {
        "plain": partial(_run_plain, bench),
        "no stall": partial(_run_plain, bench, "--no-stall"),
        "pipeline": partial(_run_pipeline, bench, "float32"),
    }
    is_mixed = not read_processor().lacks_bfloat16
    if is_mixed:
        kinds["bfloat16"] = partial(_run_pipeline, bench, "mixed_bfloat16")
    rows = []
    for seed in range(1, bench.repetitions + 1):
        order = list(kinds) if seed % 2 else list(reversed(kinds))
        measured = {kind: kinds[kind](seed=seed) for kind in order}
        rows.append(_compare([measured[kind] for kind in kinds]))
    bench.clone.edit_params({"train.precision": "float32"})
    columns = list(zip(*rows, strict=True))
    bench.at_most("`dvc repro`, nothing cached, to plain script", median(columns[3]), 1.1)
    bench.at_least("images/s in `fit`, to plain script", median(columns[7]), 1.1)
    if is_mixed:
        bench.at_most("`dvc repro` with bfloat16, to plain script", median(columns[10]), 0.85)
    lines = [[str(pair), *map(number, row)] for pair, row in enumerate(rows, start=1)]
    lines.append(row_of_medians("median", columns))
    creation = f"A new MLflow database, once: {number(first.seconds - again.seconds)} s more."
    return "\n\n".join(
        [table(HEADER + MIXED_HEADER * is_mixed, lines), creation, *[NO_BFLOAT16] * (not is_mixed)]
    )


def _compare(measured: Sequence[Measured]) -> list[float]:
    """Return the line of a pair, from the second column on."""
    (plain, plain_speed), (calm, calm_speed), (pipeline, speed), *mixed = measured
    line = [plain, calm, pipeline, pipeline / plain, plain_speed, calm_speed, speed]
    line += [speed / plain_speed, speed / calm_speed]
    return line + [part for taken, fast in mixed for part in (taken, taken / plain, fast / speed)]


def _run_plain(bench: Bench, *options: str, seed: int) -> Measured:
    run, measured = bench.run_plain(f"--seed={seed}", *options)
    return run.seconds, measured["images_per_second"]


def _run_pipeline(bench: Bench, precision: str, seed: int) -> Measured:
    """Run it with nothing cached."""
    bench.clone.forget()
    bench.clone.edit_params({"train.seed": seed, "train.precision": precision})
    run = bench.run("dvc", "repro")
    throughput = bench.clone.run("python", "-c", READ_THROUGHPUT % (seed, precision)).output
    return run.seconds, float(throughput)
