"""Measure training with more and more workers: python -m benchmarks.workers.

What is measured is HEAD, in a temporary clone: the default network, with one thread for each
worker and the same global batch. The numbers of workers take turns. All workers share the cores
of this machine, so more workers than cores cannot be quicker than as many as there are cores. What
comes before the first epoch is shown apart: more than one worker also waits for Ray.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.bench import report
from benchmarks.clone import Clone
from benchmarks.machine import describe_processor
from benchmarks.table import number, table

WORKERS = (1, 2, 4)
IMAGES, EPOCHS, REPETITIONS = 20_000, 2, 3
# The first epoch also builds the graph, so the time between the ends of epochs counts.
TIMED = """
import subprocess, sys, time
print(time.perf_counter(), flush=True)
command = [sys.executable, "-m", "pipeline.train"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training:
    for line in training.stdout:
        if line.startswith("Epoch "):
            print(time.perf_counter(), flush=True)
sys.exit(training.returncode)
"""


def measure(clone: Clone, workers: int) -> tuple[float, float]:
    """Train with so many workers.

    Returns:
        The seconds of an epoch, with its validation, and those until the first one could begin.
    """
    clone.edit_params({"train.workers": workers})
    run = clone.run("python", "-c", TIMED, env={"PIPELINE_MLFLOW": "off"})
    report(run, "python", "-m", "pipeline.train", f"{workers} workers")
    start, *ends = [float(line) for line in run.output.splitlines()]
    epoch = (ends[-1] - ends[0]) / (len(ends) - 1)
    return epoch, ends[0] - start - epoch


def compare(images: int) -> str:
    """Train with all numbers of workers in turns; return the table."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone.make(Path(folder) / "clone")
        clone.edit_params(
            {"prepare.train_samples": images, "train.epochs": EPOCHS, "train.threads": 1}
        )
        clone.run("python", "-m", "pipeline.prepare")
        turns = [[measure(clone, workers) for workers in WORKERS] for _ in range(REPETITIONS)]
    columns = list(zip(*turns, strict=True))
    alone = median(epoch for epoch, _ in columns[0])
    rows = []
    for workers, column in zip(WORKERS, columns, strict=True):
        taken, start = map(median, zip(*column, strict=True))
        speedup = alone / taken
        numbers = (start, taken, images / taken, speedup, speedup / workers)
        rows.append([str(workers), *map(number, numbers)])
    header = ["workers", "s to start", "s per epoch", "images/s", "speed-up", "efficiency"]
    return table(header, rows)


def main() -> None:
    """Print the table, and on how many cores it was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--images", type=int, default=IMAGES, help=f"to train with (default: {IMAGES:,})"
    )
    images = parser.parse_args().images
    print(f"{images:,} images, {describe_processor()}\n\n{compare(images)}")


if __name__ == "__main__":
    main()
