"""What the measurements share: the clone, how often and how large, and the targets."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

from benchmarks.clone import ROOT, Clone, Run
from benchmarks.table import Target, number

Measured = dict[str, Any]
CORES = 2  # what the targets are for
SMALL = {
    "prepare.train_samples": 200,
    "prepare.val_samples": 50,
    "prepare.test_samples": 300,
    "train.epochs": 2,
}


@dataclass
class Bench:
    """A clone to measure in.

    Attributes:
        repetitions: of each measurement.
        small: use few images and epochs, to see that all works.
        targets: what was to be reached, and whether it was.
    """

    clone: Clone
    repetitions: int
    small: bool
    targets: list[Target] = field(default_factory=list)

    def run(self, *command: str) -> Run:
        """Run a command in the clone."""
        result = self.clone.run(*command)
        report(result, *command)
        return result

    def run_plain(self, *options: str, env: dict[str, str] | None = None) -> tuple[Run, Measured]:
        """Run the plain script in the clone's environment; return also what it measured."""
        counts = [f"--{option(name)}={count}" for name, count in SMALL.items() if self.small]
        figure = f"--figure={self.clone.path.parent / 'curves.png'}"
        command = ("python", "-m", "benchmarks.plain", *counts, *options)
        result = self.clone.run(*command, figure, cwd=ROOT, env=env)
        report(result, *command)
        return result, json.loads(result.output.splitlines()[-1])

    def at_most(self, name: str, measured: float, limit: float, unit: str = "") -> None:
        """Note a target that is an upper limit."""
        shown = f"{number(measured)}{unit}"
        self.targets.append(Target(name, f"at most {limit:g}{unit}", shown, measured <= limit))

    def at_least(self, name: str, measured: float, limit: float) -> None:
        """Note a target that is a lower limit."""
        reached = measured >= limit
        self.targets.append(Target(name, f"at least {limit:g}", number(measured), reached))


def report(run: Run, *command: str) -> None:
    """Show how far the benchmark is."""
    shown = " ".join(part for part in command if "\n" not in part)
    print(f"{run.seconds:7.2f} s  {shown}", file=sys.stderr, flush=True)


def run_module(module: str, *options: str) -> Measured:
    """Run a benchmark's module that trains in a process of its own; return what it measured.

    Raises:
        SystemExit: it failed; its output is the message.
    """
    command = [sys.executable, "-m", module, *options]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if run.returncode:
        sys.exit(f"{module} exited with {run.returncode}:\n{run.stdout}{run.stderr}")
    measured: Measured = json.loads(run.stdout.splitlines()[-1])
    shown = " ".join([module, *options])
    print(f"{measured['fit_seconds']:7.2f} s  {shown}", file=sys.stderr, flush=True)
    return measured


def option(param: str) -> str:
    """Return the name that the plain script has for a param, given by its dotted name."""
    return param.partition(".")[2].replace("_", "-")


def keep_to_cores() -> None:
    """Use only the first cores, where the system can be told to, from now on."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
