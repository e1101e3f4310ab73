"""Measure training in bfloat16 against float32: python -m benchmarks.precision [--pairs 5].

An experiment of experiments.yaml, the lesson if no other is named, is trained with each precision
in turns, in the reverse order in every second pair; each pair has its own seed. `--set` changes a
param of it, such as `--set model.batch_norm=false`, to see what each contributes; targets are for
experiments as they are. What is measured is the working tree. The first epoch also builds the
graph, so images per second are those of the others. The accuracy is that of the float32 model on
the test images.
"""

import argparse
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from benchmarks.bench import keep_to_cores, run_module
from benchmarks.machine import describe_processor
from benchmarks.table import Target, number, row_of_medians, table, table_of_targets
from pipeline.statistics.significance import between_spreads
from pipeline.training.processor import read_processor

PRECISIONS = ("float32", "mixed_bfloat16")
HEADER = ["seed", *(f"{name}, images/s" for name in PRECISIONS), "ratio"]
HEADER += [f"{name}, accuracy" for name in PRECISIONS]
RATIO, LEVEL = 1.6, 0.95


class Trained(NamedTuple):
    """Images per second in training, and the accuracy on the test images."""

    speed: float
    accuracy: float


def measure_speed(images: int, ends: Sequence[float]) -> float:
    """Return the images per second of all epochs but the first.

    Args:
        images: trained on in each.
        ends: seconds at the end of each, from the same moment; at least two.
    """
    return images * (len(ends) - 1) / (ends[-1] - ends[0])


def train(name: str, seed: int, precision: str, options: Iterable[str]) -> Trained:
    """Train an experiment in a process of its own."""
    given = [f"--seed={seed}", *options, f"--set=train.precision={precision}"]
    measured = run_module("benchmarks.train_experiment", name, *given)
    ends = [seconds for seconds, _ in measured["epochs"]]
    return Trained(measure_speed(measured["images"], ends), measured["accuracy"])


def tabulate(pairs: Sequence[tuple[Trained, Trained]]) -> str:
    """Return the table of pairs, float32 first."""
    speeds = [(old.speed, new.speed, new.speed / old.speed) for old, new in pairs]
    rows = [
        [str(seed), *map(number, speed), f"{old.accuracy:.4f}", f"{new.accuracy:.4f}"]
        for seed, (speed, (old, new)) in enumerate(zip(speeds, pairs, strict=True))
    ]
    medians = row_of_medians("median", zip(*speeds, strict=True))
    accuracies = [f"{median(pair[place].accuracy for pair in pairs):.4f}" for place in (0, 1)]
    return table(HEADER, [*rows, [*medians, *accuracies]])


def judge(pairs: Sequence[tuple[Trained, Trained]], *, can_show: bool) -> list[Target]:
    """Compare with what is to be reached.

    Args:
        pairs: float32 first.
        can_show: whether this machine has instructions for bfloat16, for which the ratio is meant.
    """
    ratio = median(new.speed / old.speed for old, new in pairs)
    targets = []
    if can_show:
        reached = ratio >= RATIO
        targets.append(Target("images/s, ratio", f"at least {RATIO}", number(ratio), reached))
    if len(pairs) > 1:
        before, after = ([pair[place].accuracy for pair in pairs] for place in (0, 1))
        found = between_spreads(before, after, LEVEL)
        limits = f"{100 * found.low:+.2f} to {100 * found.high:+.2f} points"
        same = found.low <= 0 <= found.high
        targets.append(Target("difference in accuracy over seeds", "includes 0", limits, same))
    return targets


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", nargs="?", default="lesson", help="experiment (default: lesson)")
    parser.add_argument("--pairs", type=int, default=5, help="repetitions (default: 5)")
    parser.add_argument(
        "--set",
        metavar="PARAM=VALUE",
        action="append",
        default=[],
        dest="changes",
        help="change a param of the experiment",
    )
    parser.add_argument("--small", action="store_true", help="few images, to see that all works")
    args = parser.parse_args()
    if args.pairs < 1:
        parser.error("--pairs: must be at least 1")
    keep_to_cores()
    print(", ".join([args.name, *args.changes, describe_processor()]), end="\n\n", flush=True)
    can_show = not read_processor().lacks_bfloat16
    if not can_show:
        print("This processor has no instructions for bfloat16: the ratio is no target here.\n")
    options = [f"--set={change}" for change in args.changes]
    options += ["--small"] if args.small else []
    pairs = []
    for seed in range(args.pairs):
        order = PRECISIONS[:: -1 if seed % 2 else 1]
        trained = {name: train(args.name, seed, name, options) for name in order}
        pairs.append((trained["float32"], trained["mixed_bfloat16"]))
    print(tabulate(pairs))
    if not args.changes and (targets := judge(pairs, can_show=can_show)):
        print(f"\n{table_of_targets(targets)}")


if __name__ == "__main__":
    main()
