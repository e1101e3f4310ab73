"""Measure stages on more and more generated images: python -m benchmarks.scale.

What is measured is HEAD, in a temporary clone. Memory shall not grow with the number of images,
nor the time that each of them takes. Each count is measured equally often, and the quickest run
counts: else the noise of the machine, or memory that it must first find, would look like growth.
"""

import argparse
import gzip
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.bench import keep_to_cores, report
from benchmarks.clone import Clone, Run
from benchmarks.table import Target, number, table, table_of_targets

FEW = 1000  # images, which take hardly any time: what is left is that of starting
COUNTS = (60_000, 1_000_000)
REPETITIONS = 3
SIDE, CLASSES, CHUNK = 28, 10, 10_000
STAGES = ("prepare", "train", "evaluate")
PARAMS = {
    "prepare.dataset": "generated",
    "prepare.val_samples": FEW,
    "model.conv_blocks": [[4]],
    "model.dense_units": [16],
    "train.epochs": 1,
}


def generate_labels(count: int) -> bytes:
    """Return labels that go through all classes again and again."""
    return (np.arange(count) % CLASSES).astype(np.uint8).tobytes()


def generate_images(count: int, seed: int) -> Iterator[bytes]:
    """Return noise on a row of pixels for the class, in chunks."""
    rng = np.random.default_rng(seed)
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        images = rng.integers(0, 128, (size, SIDE, SIDE), dtype=np.uint8)
        images[np.arange(size), 2 * ((start + np.arange(size)) % CLASSES) + 4] += 128
        yield images.tobytes()


def write_dataset(folder: Path, train: int, test: int) -> None:
    """Write a data set like MNIST, gzipped, with so many images."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (prefix, count) in enumerate({"train": train, "t10k": test}.items()):
        with gzip.open(folder / f"{prefix}-images-idx3-ubyte.gz", "wb", compresslevel=1) as file:
            file.write(struct.pack(">4I", 0x803, count, SIDE, SIDE))
            for chunk in generate_images(count, seed):
                file.write(chunk)
        labels = struct.pack(">2I", 0x801, count) + generate_labels(count)
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


def measure(clone: Clone, count: int) -> dict[str, Run]:
    """Run each stage on so many training and so many test images."""
    write_dataset(clone.path / "data/raw/generated", count + FEW, count)
    samples = {"prepare.train_samples": count, "prepare.test_samples": count}
    clone.edit_params(PARAMS | samples)
    runs = {}
    for stage in STAGES:
        command = ("python", "-m", f"pipeline.{stage}")
        repeated = []
        for _ in range(REPETITIONS):
            repeated.append(clone.run(*command, env={"PIPELINE_MLFLOW": "off"}))
            report(repeated[-1], *command, f"{count:,} images")
        runs[stage] = min(repeated)  # the quickest
    return runs


def compare(counts: list[int]) -> str:
    """Measure all counts; return a table of them, and one of targets."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone.make(Path(folder) / "clone")
        measured = {count: measure(clone, count) for count in (FEW, *counts)}
    rows, targets = [], []
    for stage in STAGES:
        runs = [measured[count][stage] for count in counts]
        few = measured[FEW][stage]
        costs = [
            (run.seconds - few.seconds) / count for run, count in zip(runs, counts, strict=True)
        ]
        for count, run, cost in zip(counts, runs, costs, strict=True):
            user, system = (run.user - few.user) / count, (run.system - few.system) / count
            numbers = (run.seconds, 1e6 * cost, 1e6 * user, 1e6 * system, run.peak_mb)
            rows.append([f"`{stage}`, {count:,} images", *map(number, numbers)])
        growth, slowdown = runs[-1].peak_mb / runs[0].peak_mb, costs[-1] / costs[0]
        targets += [
            Target(f"`{stage}`: peak memory", "at most 1.3", number(growth), growth <= 1.3),
            Target(
                f"`{stage}`: time per image", "at most 1.15", number(slowdown), slowdown <= 1.15
            ),
        ]
    header = ["", "s", "µs per image", "CPU, user", "CPU, system", "peak MB"]
    return f"{table(header, rows)}\n\n{table_of_targets(targets)}"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="numbers of images")
    args = parser.parse_args()
    keep_to_cores()
    print(compare(list(args.counts)))


if __name__ == "__main__":
    main()
