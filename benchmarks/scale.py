"""Measure stages on more and more generated images: python -m benchmarks.scale.

What is measured is HEAD, in temporary clones, one for each count. Memory shall not grow with the
number of images, nor the time that each of them takes. The counts take turns, and medians count.

All counts train for equally many batches, fewer images for more epochs: a machine that is slower
when it is busy for longer would look like growth. All evaluate the same network, as one that
errs more often has more to explain.
"""

import argparse
import gzip
import struct
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from benchmarks.bench import keep_to_cores, report
from benchmarks.clone import Clone
from benchmarks.machine import describe_processor
from benchmarks.table import Target, number, table, table_of_targets

FEW = 1000  # images, which take hardly any time: what is left is that of starting
COUNTS = (60_000, 1_000_000)
REPETITIONS = 3
SIDE, CLASSES, CHUNK = 28, 10, 10_000
MODEL = "models/model.keras"
STAGES = ("prepare", "train", "evaluate")
PARAMS = {
    "prepare.dataset": "generated",
    "prepare.val_samples": FEW,
    "model.conv_blocks": [[4]],
    "model.dense_units": [16],
}

# TensorFlow's import takes longer than 60,000 images do, and now more, now less.
TIMED = """
import importlib, sys, time
stage = importlib.import_module(f"pipeline.{sys.argv[1]}")
if sys.argv[1] == "train":
    import pipeline.training.trainer
start = time.perf_counter()
stage.main()
print(time.perf_counter() - start)
"""


class Measured(NamedTuple):
    """Seconds of a stage, and the peak memory of its process in MB."""

    seconds: float
    peak_mb: float


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


def make_clone(folder: Path, count: int, epochs: int, precision: str) -> Clone:
    """Return a clone with so many training and so many test images."""
    clone = Clone.make(folder / str(count) / "clone")
    write_dataset(clone.path / "data/raw/generated", count + FEW, count)
    samples = {"prepare.train_samples": count, "prepare.test_samples": count}
    training = {"train.epochs": epochs, "train.precision": precision}
    clone.edit_params(PARAMS | samples | training)
    return clone


def measure(clone: Clone, stage: str, count: int) -> Measured:
    """Run a stage; what it takes to import its modules does not count."""
    run = clone.run("python", "-c", TIMED, stage, env={"PIPELINE_MLFLOW": "off"})
    report(run, f"{stage}, {count:,} images")
    return Measured(float(run.output.splitlines()[-1]), run.peak_mb)


def take_turn(clones: Mapping[int, Clone]) -> dict[tuple[str, int], Measured]:
    """Run each stage once with each count."""
    measured = {}
    for stage in STAGES:
        for count, clone in clones.items():
            if stage == "evaluate":
                model = clones[max(clones)].path / MODEL
                (clone.path / MODEL).write_bytes(model.read_bytes())
            measured[stage, count] = measure(clone, stage, count)
    return measured


def compare(counts: list[int], precision: str) -> str:
    """Measure all counts in turns; return a table of them, and one of targets."""
    with tempfile.TemporaryDirectory() as folder:
        epochs = {FEW: 1} | {count: round(max(counts) / count) for count in counts}
        clones = {
            count: make_clone(Path(folder), count, epochs[count], precision) for count in epochs
        }
        turns = [take_turn(clones) for _ in range(REPETITIONS)]
    rows, targets = [], []
    for stage in STAGES:
        costs, peaks = [], []
        for count in counts:
            runs = [turn[stage, count] for turn in turns]
            # Of each turn: the machine may be quicker in one than in the next.
            images = count * epochs[count] if stage == "train" else count
            per_image = [
                1e6 * (turn[stage, count].seconds - turn[stage, FEW].seconds) / images
                for turn in turns
            ]
            costs.append(median(per_image))
            peaks.append(median(run.peak_mb for run in runs))
            seconds = median(run.seconds for run in runs)
            numbers = (seconds, costs[-1], min(per_image), max(per_image), peaks[-1])
            rows.append([f"`{stage}`, {count:,} images", *map(number, numbers)])
        for name, limit, values in (("peak memory", 1.3, peaks), ("time per image", 1.15, costs)):
            ratio = values[-1] / values[0]
            shown = number(ratio)
            targets.append(Target(f"`{stage}`: {name}", f"at most {limit}", shown, ratio <= limit))
    header = ["", "s", "µs per image", "lowest", "highest", "peak MB"]
    return f"{table(header, rows)}\n\n{table_of_targets(targets)}"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="numbers of images")
    parser.add_argument("--precision", default="float32", help="train.precision (default: float32)")
    args = parser.parse_args()
    keep_to_cores()
    print(f"Trained in {args.precision}, {describe_processor()}\n", flush=True)
    print(compare(list(args.counts), args.precision))


if __name__ == "__main__":
    main()
