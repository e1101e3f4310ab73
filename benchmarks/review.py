"""Simulate what the statistics of a review call real: `python -m benchmarks.review`.

`benchmarks.simulation` says how models and images are simulated.
"""

import argparse

import numpy as np
import numpy.typing as npt

from benchmarks.simulation import luck, one_run, paired, simulate, two_spreads
from benchmarks.table import table
from pipeline.statistics.significance import MOST_SEEDS, seeds_needed

SEEDS = (3, 5, 10)
SPREADS = (0, 0.0015, 0.006, 0.012)
GAINS = (0.003, 0.005, 0.01)


def count_alarms(trials: int, rng: np.random.Generator) -> str:
    """Show how often two models, or two groups, of one recipe are called different."""
    rows = []
    for spread in SPREADS:
        same = simulate(trials, max(SEEDS), spread, 0, rng)
        found = [paired(same), *(test(same, n) for test in (one_run, two_spreads) for n in SEEDS)]
        rows.append([_describe(spread), *(_percent(verdicts != 0) for verdicts in found)])
    header = ["spread, points", "paired test", *(f"1 run, {n} seeds" for n in SEEDS)]
    return table([*header, *(f"{n} seeds, {n} seeds" for n in SEEDS)], rows)


def count_finds(trials: int, rng: np.random.Generator) -> str:
    """Show how often a true gain is found, and how often the paired test sees a loss instead."""
    rows = []
    for spread in SPREADS:
        for gain in GAINS:
            better = simulate(trials, max(SEEDS), spread, gain, rng)
            verdicts = paired(better)
            found = [verdicts > 0, verdicts < 0, one_run(better, 5) > 0]
            found += [two_spreads(better, seeds) > 0 for seeds in (5, 10)]
            needed = seeds_needed(gain, max(spread, luck())) or f"over {MOST_SEEDS}"
            gained = f"{100 * gain:g}"
            rows.append([_describe(spread), gained, *map(_percent, found), str(needed)])
    header = ["spread, points", "true gain, points", "paired test", "paired test: worse"]
    header += ["1 run, 5 seeds", "5 seeds, 5 seeds", "10 seeds, 10 seeds"]
    return table([*header, "seeds needed"], rows)


def _describe(spread: float) -> str:
    return f"{100 * spread:g}" if spread else f"{100 * luck():.2f} (equal models)"


def _percent(found: npt.NDArray[np.bool_]) -> str:
    return f"{100 * found.mean():.1f} %"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of all chance (default: 0)")
    parser.add_argument("--trials", type=int, default=4000, help="in each line (default: 4000)")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    print(f"Called different though the recipe is the same, {args.trials} trials in each line:\n")
    print(f"{count_alarms(args.trials, rng)}\n", flush=True)
    trials = max(args.trials // 4, 1)
    print(f"A true gain found, {trials} trials in each line:\n\n{count_finds(trials, rng)}")


if __name__ == "__main__":
    main()
