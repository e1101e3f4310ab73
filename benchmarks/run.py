"""Measure the pipeline against the plain script: `make bench`, or python -m benchmarks.run.

What is measured is HEAD, in a temporary clone. The tables are Markdown.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import measures, pairs, tracking
from benchmarks.bench import SMALL, Bench, keep_to_cores
from benchmarks.clone import ROOT, Clone
from benchmarks.machine import describe_machine
from benchmarks.table import table_of_targets

Measure = Callable[[Bench], str]
MEASURES: dict[str, tuple[str, Measure]] = {
    "pairs": ("Pipeline and plain script", pairs.measure_pairs),
    "scenarios": ("Little to do", measures.measure_scenarios),
    "stages": ("Each stage by itself", measures.measure_stages),
    "tracking": ("What MLflow costs", tracking.measure_tracking),
    "report": ("Reporting", tracking.measure_report),
    "bytes": ("Same bytes", measures.compare_bytes),
    "serving": ("Serving", measures.measure_serving),
    "history": ("A lost MLflow store", tracking.measure_history),
}
EXPERIMENTS: dict[str, tuple[str, Measure]] = {
    "stall": ("What Keras on arrays waits for", measures.measure_stall),
    "isa": ("Instruction sets", measures.measure_instruction_sets),
}


def main() -> None:
    """Run the measurements that are asked for, and print their tables."""
    known = MEASURES | EXPERIMENTS
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=5, help="repetitions (default: 5)")
    parser.add_argument("--small", action="store_true", help="few images, to see that all works")
    parser.add_argument("--only", action="append", choices=known, help="may be repeated")
    args = parser.parse_args()
    if args.pairs < 1:
        parser.error("--pairs: must be at least 1")
    keep_to_cores()

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        clone = Clone.make(Path(folder) / "clone")
        if clone.run("git", "status", "--porcelain", cwd=ROOT).output:
            print("Uncommitted changes are not measured.", file=sys.stderr)
        commit = clone.run("git", "rev-parse", "--short", "HEAD").output.strip()
        print(f"{describe_machine(commit)}\n", flush=True)
        bench = Bench(clone, args.pairs, args.small)
        if args.small:
            clone.edit_params(dict(SMALL))
        for name in args.only or MEASURES:
            title, measure = known[name]
            print(f"## {title}\n\n{measure(bench)}\n", flush=True)
        if bench.targets:
            print(f"## Targets\n\n{table_of_targets(bench.targets)}")


if __name__ == "__main__":
    main()
