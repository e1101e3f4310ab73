"""Measure the recipe against the plain script: python -m benchmarks.recipe [--pairs 5].

The recipe is that experiment of experiments.yaml. In turns, and in the reverse order in every
second pair, each is trained with the seed of the pair. What is measured is the working tree.

With --variants, it is compared with what it would be without one of its params, on the training
images by which it was chosen.
"""

import argparse
import math
import tempfile
from collections.abc import Iterable
from pathlib import Path
from statistics import mean

from benchmarks.bench import SMALL, Measured, keep_to_cores, option, run_module
from benchmarks.machine import describe_processor
from benchmarks.table import Target, number, table, table_of_targets

HEADER = [
    "seed",
    "plain, s",
    "recipe, s",
    "recipe to plain",
    "plain, accuracy",
    "recipe, accuracy",
    "until as good, to plain",
]
CHOSEN_BY = 20_000  # training images that follow those trained on
CHOSEN_WITH = (1, 2)  # seeds
VARIANTS = {
    "as it is": {},
    "without augmentation": {
        "augmentation.rotation": "0.0",
        "augmentation.shift": "0.0",
        "augmentation.zoom": "0.0",
    },
    "without batch norm": {"model.batch_norm": "false"},
    "without batch norm, `learning_rate: 0.002`": {
        "model.batch_norm": "false",
        "train.learning_rate": "0.002",
    },
    "without label smoothing": {"train.label_smoothing": "0.0"},
    "`learning_rate_schedule: constant`, `learning_rate: 0.001`": {
        "train.learning_rate_schedule": "constant",
        "train.learning_rate": "0.001",
    },
    "`dropout: 0.3`": {"model.dropout": "0.3"},
    "`dense_units: [128]`": {"model.dense_units": "[128]"},
}


def seconds_to_reach(accuracy: float, epochs: Iterable[tuple[float, float]]) -> float:
    """Return when a run was first that good; infinity: never.

    Args:
        accuracy: to be reached.
        epochs: for each the seconds from the start to its end, and the validation accuracy then.
    """
    return min((seconds for seconds, reached in epochs if reached >= accuracy), default=math.inf)


def compare(plain: Measured, recipe: Measured) -> list[float]:
    """Return the line of a pair, from the second column on."""
    reached = seconds_to_reach(plain["accuracy"], recipe["epochs"])
    return [
        plain["fit_seconds"],
        recipe["fit_seconds"],
        recipe["fit_seconds"] / plain["fit_seconds"],
        plain["accuracy"],
        recipe["accuracy"],
        reached / plain["fit_seconds"],
    ]


def measure_pairs(pairs: int, small: bool) -> str:
    """Train each of them so often; return the table of pairs, and that of targets."""
    lines = []
    for seed in range(pairs):
        runs = {"plain": _train_plainly, "recipe": _train_recipe}
        turns = list(runs)[:: -1 if seed % 2 else 1]
        measured = {name: runs[name](seed, small) for name in turns}
        lines.append(compare(measured["plain"], measured["recipe"]))
    means = [mean(column) for column in zip(*lines, strict=True)]
    names = [*map(str, range(pairs)), "mean"]
    rows = [_format(name, line) for name, line in zip(names, [*lines, means], strict=True)]
    return f"{table(HEADER, rows)}\n\n{table_of_targets(_compare_with_targets(means))}"


def measure_variants(small: bool) -> str:
    """Train each variant with the seeds; return a table of mean validation accuracies."""
    rows = []
    for name, changes in VARIANTS.items():
        settings = {"prepare.val_samples": str(CHOSEN_BY)} | changes
        options = [f"--set={param}={value}" for param, value in settings.items()]
        trained = [_train_recipe(seed, small, *options) for seed in CHOSEN_WITH]
        accuracies = [measured["epochs"][-1][1] for measured in trained]
        rows.append([name, *(f"{accuracy:.4f}" for accuracy in (*accuracies, mean(accuracies)))])
    return table(["recipe", *(f"seed {seed}" for seed in CHOSEN_WITH), "mean"], rows)


def _train_plainly(seed: int, small: bool) -> Measured:
    counts = [f"--{option(name)}={count}" for name, count in SMALL.items() if small]
    with tempfile.TemporaryDirectory() as folder:
        figure = f"--figure={Path(folder) / 'curves.png'}"
        return run_module("benchmarks.plain", f"--seed={seed}", *counts, figure)


def _train_recipe(seed: int, small: bool, *options: str) -> Measured:
    size = ["--small"] if small else []
    return run_module("benchmarks.train_experiment", "recipe", f"--seed={seed}", *options, *size)


def _format(name: str, line: list[float]) -> list[str]:
    plain, recipe, ratio, plain_accuracy, recipe_accuracy, reached = line
    return [
        name,
        number(plain),
        number(recipe),
        number(ratio),
        f"{plain_accuracy:.4f}",
        f"{recipe_accuracy:.4f}",
        _format_share(reached),
    ]


def _format_share(reached: float) -> str:
    return number(reached) if math.isfinite(reached) else "never"


def _compare_with_targets(means: list[float]) -> list[Target]:
    ratio, accuracy, reached = means[2], means[4], means[5]
    return [
        Target("test accuracy", "at least 0.988", f"{accuracy:.4f}", accuracy >= 0.988),
        Target("seconds in `fit`, to plain script", "at most 1", number(ratio), ratio <= 1),
        Target(
            "seconds until it is as good, to plain script",
            "at most 0.25",
            _format_share(reached),
            reached <= 0.25,
        ),
    ]


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=5, help="repetitions (default: 5)")
    parser.add_argument("--variants", action="store_true", help="compare variants of the recipe")
    parser.add_argument("--small", action="store_true", help="few images, to see that all works")
    args = parser.parse_args()
    if args.pairs < 1:
        parser.error("--pairs: must be at least 1")
    keep_to_cores()
    print(f"{describe_processor()}\n", flush=True)
    print(measure_variants(args.small) if args.variants else measure_pairs(args.pairs, args.small))


if __name__ == "__main__":
    main()
