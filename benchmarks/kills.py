"""Kill `dvc repro` at random moments, and at aimed ones: python -m benchmarks.kills.

What is measured is HEAD, in temporary clones with few images. After each kill, of DVC and its
stages, the next `dvc repro` has to come to the bytes of one that nobody has disturbed, train no
epoch again, have one finished run in MLflow, and leave no process behind.
"""

import argparse
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks.bench import SMALL
from benchmarks.clone import Clone
from benchmarks.table import table

KILLS = 30
# What DVC or a stage says at the end of one stage or the start of the next.
AIMED = (
    *("Running stage 'prepare'", "Running stage 'train'", "Epoch 2/", "Trained for"),
    *("Running stage 'evaluate'", "Running stage 'plot'", "MLflow: completed run"),
)
EPOCH = re.compile(r"^Epoch (\d+)/", re.MULTILINE)


def kill(clone: Clone, moment: float | str) -> str:
    """Start `dvc repro` and kill it; return what it has said.

    Args:
        clone: in which there is something to do.
        moment: seconds after the start, or a text that it says.
    """
    process = clone.start("dvc", "repro")
    said: list[str] = []
    seen = threading.Event()

    def read() -> None:
        for line in process.stdout or ():
            said.append(line)
            if isinstance(moment, str) and moment in line:
                seen.set()
        seen.set()

    reader = threading.Thread(target=read)
    reader.start()
    seen.wait(None if isinstance(moment, str) else moment)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    reader.join()
    return "".join(said)


def count_runs(clone: Clone, seed: int) -> tuple[int, int]:
    """Return how many runs a state has in MLflow, and how many of them are whole."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{clone.path}/mlflow.db")
    experiments = [found.experiment_id for found in client.search_experiments()]
    query = f"params.`train.seed` = '{seed}'"
    runs = list(client.search_runs(experiments, query))
    whole = [r for r in runs if r.info.status == "FINISHED" and "incomplete" not in r.data.tags]
    return len(runs), len(whole)


def find_left(clone: Clone) -> list[int]:
    """Return the processes that are still running in a clone."""
    left = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(clone.path):
                left.append(process.pid)
        except psutil.Error:  # it has just ended, or is another user's
            continue
    return left


def try_once(clone: Clone, undisturbed: Clone, seed: int, moment: float | str) -> list[str]:
    """Kill and repair once; return what was wrong."""
    for one in (clone, undisturbed):
        one.edit_params({"train.seed": seed})
    before = EPOCH.findall(kill(clone, moment))
    after = EPOCH.findall(clone.run("dvc", "repro").output)
    clone.run("python", "-m", "pipeline.publish")
    undisturbed.run("dvc", "repro", env={"PIPELINE_MLFLOW": "off"})
    faults = []
    if again := {*before} & {*after}:
        faults.append(f"epochs {', '.join(sorted(again))} were trained again")
    if clone.digests() != undisturbed.digests():
        faults.append("other bytes")
    if (runs := count_runs(clone, seed)) != (1, 1):
        faults.append(f"{runs[0]} runs, {runs[1]} of them whole")
    if left := find_left(clone):
        faults.append(f"processes {left} are left")
    return faults


def main() -> None:
    """Print the table; exit with 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--kills", type=int, default=KILLS, help=f"at random moments (default: {KILLS})"
    )
    draw = random.Random(0)  # noqa: S311
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        clone, undisturbed = (
            Clone.make(Path(folder) / name / "clone") for name in ("killed", "undisturbed")
        )
        for one in (clone, undisturbed):
            one.edit_params({**SMALL, "train.seed": 0})
            one.run("python", "-m", "pipeline.prepare")  # so that files are in memory
        start = time.monotonic()
        clone.run("dvc", "repro")
        seconds = time.monotonic() - start
        random_ones = [draw.uniform(0, seconds) for _ in range(parser.parse_args().kills)]
        rows = []
        moments: list[float | str] = [*AIMED, *random_ones]
        for seed, moment in enumerate(moments, start=1):
            faults = try_once(clone, undisturbed, seed, moment)
            when = f"`{moment}`" if isinstance(moment, str) else f"{moment:.1f} s"
            rows.append([when, "; ".join(faults) or "nothing lost"])
            print(f"{seed}/{len(moments)}: {rows[-1]}", file=sys.stderr)
    survived = sum(row[1] == "nothing lost" for row in rows)
    print(f"An undisturbed `dvc repro` took {seconds:.1f} s.\n")
    print(table(["killed at", "after the next dvc repro"], rows))
    print(f"\n{survived} of {len(rows)} kills lost nothing.")
    sys.exit(survived < len(rows))


if __name__ == "__main__":
    main()
