"""Run what has changed, as `dvc repro` does, and say what came of it against HEAD."""

import json
import sys

from pipeline.core import files, stage
from pipeline.evaluation.paths import EVALUATION
from pipeline.provenance.git import read, resolve
from pipeline.provenance.packages import find_unlocked
from pipeline.provenance.params import load_params
from pipeline.provenance.paths import LOCK
from pipeline.provenance.recorded import LockedStage, parse_stages

HINT = "Use `dvc push` to send your updates to remote storage."


def main() -> None:
    """Run DVC, then print the test accuracy, what HEAD has, and the commands that come next."""
    level = load_params().evaluate.confidence
    code = _reproduce()
    if code:
        sys.exit(code)
    result = files.read_text(EVALUATION, json.loads)
    for line in find_unlocked():
        print(f"\n{line}")
    print(
        f"\nTest accuracy {result['accuracy']:.4f}, {100 * level:g}% interval "
        f"{result['accuracy_low']:.4f} to {result['accuracy_high']:.4f}: "
        f"{result['errors']:,} of {result['samples']:,} images are misclassified."
    )
    if commit := resolve("HEAD"):
        before, after = map(_read_made, (read(commit, LOCK), files.read_text(LOCK, str)))
        print(compare(before, after, read(commit, EVALUATION), result))
    print(
        "\nNext:  look at metrics/figures\n"
        "       make ui             compare runs in MLflow\n"
        "       make report         what changed, and whether it is real\n"
        "       edit params.yaml and run it again"
    )


def compare(
    old: dict[str, str], new: dict[str, str], committed: str, result: dict[str, float]
) -> str:
    """Return what changed against HEAD, in a line.

    Args:
        old: MD5 of all outputs that HEAD has, by their paths.
        new: those of the working tree.
        committed: HEAD's test metrics as JSON; empty where it has none.
        result: those of the working tree.
    """
    if old == new:
        return f"HEAD: same bytes as committed, in all {len(new)} outputs."
    try:
        before = json.loads(committed)
        change = 100 * (result["accuracy"] - before["accuracy"])
        return (
            f"HEAD: test accuracy {before['accuracy']:.4f} → {result['accuracy']:.4f} "
            f"({change:+.2f} points), errors {before['errors']:,} → {result['errors']:,}."
        )
    except (ValueError, LookupError, TypeError):
        return "HEAD: it has no test metrics."


def _reproduce() -> int:
    """Run `dvc repro`, without its hint where there is no remote, and return its exit code."""
    from dvc.cli import main as dvc
    from dvc.repo import Repo
    from dvc.ui import ui

    write = ui.write

    def write_what_applies(*objects: object, **options: object) -> None:
        if HINT not in objects or Repo().config["remote"]:
            write(*objects, **options)

    ui.write = write_what_applies
    # Without --wait-for-lock, a training run that ends during `dvc push` would be lost.
    return int(dvc(["--wait-for-lock", "repro"]))


def _read_made(lock: str) -> dict[str, str]:
    try:
        stages = parse_stages(lock, LockedStage).values()
    except (ValueError, LookupError, AttributeError):
        return {}
    return {out.path: out.md5 for locked in stages for out in locked.outs}


if __name__ == "__main__":
    stage.run(main, check=stage.refuse_arguments)
