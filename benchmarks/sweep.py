"""Compare the search with a random one: python -m benchmarks.sweep [--seconds 240] [--seeds 0 1 2].

Both have the same space, that of sweep.yaml, and the same time. One is the search as it is: TPE,
and ASHA stops early what is worse. The other draws at random and trains all trials to their end.
In turns, and in the reverse order with every second seed. Each is judged by the best validation
accuracy of a trial that was trained to its end.
"""

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path
from statistics import mean

from ruamel.yaml import YAML

from benchmarks.bench import keep_to_cores
from benchmarks.clone import Clone
from benchmarks.machine import describe_processor
from benchmarks.table import table

PARAMS: dict[str, object] = {
    "prepare.val_samples": 2000,
    "prepare.test_samples": 100,  # no search looks at them
    "train.epochs": 9,
}
PLAIN: dict[str, object] = {"sampler": "random", "scheduler": None}
SEARCHES: dict[str, dict[str, object]] = {"search": {}, "random": PLAIN}
HEADER = ["seed", "search", "random", "search, trials", "to their end", "random, to their end"]


def compare(folder: Path, seed: int, seconds: float, train_samples: int) -> list[float]:
    """Search in both ways; return the line of the table, from the second column on."""
    found = {}
    for name in list(SEARCHES)[:: -1 if seed % 2 else 1]:
        clone = Clone.make(folder / f"{name}-{seed}" / "clone", PIPELINE_MLFLOW="off")
        clone.edit_params(PARAMS | {"prepare.train_samples": train_samples})
        edit_sweep(clone, {"trials": 1000, "seconds": seconds, "seed": seed} | SEARCHES[name])
        clone.run("dvc", "repro", "prepare")
        try:
            clone.run("python", "-m", "pipeline.sweep")
        except SystemExit as failure:
            if "no trial ran to its end" not in str(failure):
                raise
        found[name] = read_trials(clone)
        print(f"seed {seed}: {name}: {found[name]}", file=sys.stderr, flush=True)
    (best, begun, ended), (other, _, other_ended) = found["search"], found["random"]
    return [best, other, begun, ended, other_ended]


def edit_sweep(clone: Clone, changes: dict[str, object]) -> None:
    """Set what `sweep.yaml` says at its top."""
    path = clone.path / "sweep.yaml"
    yaml = YAML()
    yaml.dump(yaml.load(path) | changes, path)


def read_trials(clone: Clone) -> tuple[float, int, int]:
    """Return the best accuracy, NaN: none, and how many trials there were, and to their end."""
    (journal,) = clone.path.glob(".dvc/tmp/sweeps/*/journal.jsonl")
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    last = {event["trial"]: event["logs"] for event in events if event["event"] == "epoch"}
    ended = [event["trial"] for event in events if event.get("outcome") == "finished"]
    begun = sum(event["event"] == "start" for event in events)
    best = max((last[trial]["val_accuracy"] for trial in ended), default=math.nan)
    return best, begun, len(ended)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=240, help="for each (default: 240)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[*range(5)], help="(default: 0-4)")
    parser.add_argument("--train-samples", type=int, default=2000, help="(default: 2000)")
    args = parser.parse_args()
    keep_to_cores()
    with tempfile.TemporaryDirectory() as folder:
        lines = [
            compare(Path(folder), seed, args.seconds, args.train_samples) for seed in args.seeds
        ]
    means = [mean(column) for column in zip(*lines, strict=True)]
    names = [*map(str, args.seeds), "mean"]
    rows = [
        [name, *(f"{value:.4f}" for value in line[:2]), *(f"{value:.3g}" for value in line[2:])]
        for name, line in zip(names, [*lines, means], strict=True)
    ]
    print(f"{describe_processor()}\n\n{table(HEADER, rows)}")


if __name__ == "__main__":
    main()
