"""What a state is made of, but for the seed: runs of one recipe differ by chance alone."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.core import files
from pipeline.core.errors import PipelineError
from pipeline.core.params import PARAMS
from pipeline.evaluation.paths import EVALUATION
from pipeline.evaluation.scores import METRICS
from pipeline.model.paths import MODEL
from pipeline.provenance import state
from pipeline.provenance.committed import NoState, experiment_snapshots
from pipeline.provenance.git import git, resolve
from pipeline.provenance.origin import parse_yaml
from pipeline.provenance.paths import CODE, LOCK
from pipeline.provenance.reproduced import shorten
from pipeline.provenance.snapshot import Snapshot
from pipeline.provenance.spread import SEED, SeedRun

STAGES = ("prepare", "train", "evaluate")  # how `plot` draws cannot change an accuracy


def identify_recipe(snapshot: Snapshot) -> str:
    """Return a digest of a state's params, but its seed, and of its data, code and packages.

    Raises:
        DataError: its lock cannot be read.
    """
    params = {name: value for name, value in snapshot.params.items() if name != SEED}
    stages = _locked_stages(snapshot.folder)
    commands = {f"{name}.cmd": locked["cmd"] for name, locked in stages.items()}
    packages = {
        f"{name}.{path}": values
        for name, locked in stages.items()
        for path, values in locked.get("params", {}).items()
        if path != str(PARAMS)
    }
    return state.combine(params | commands | packages, _given(stages))


def require_in_git(snapshot: Snapshot) -> None:
    """Check that Git knows all data and code: DVC's experiments have a copy of nothing else.

    Raises:
        PipelineError: it does not; the message names the files.
    """
    if not resolve("HEAD"):
        raise PipelineError(
            "Git: there is no commit, and DVC's experiments need one: `git add` and `git commit`"
        )
    paths = {str(CODE), *map(str, _given(_locked_stages(snapshot.folder)))}
    unknown = git("ls-files", "--others", "--exclude-standard", "--", *paths).splitlines()
    if unknown:
        raise PipelineError(
            f"Git: does not know {shorten(unknown)}; seeds are trained in a copy of what it knows: "
            "`git add` them, or remove them"
        )


def experiment_name(recipe: str, seed: int) -> str:
    """Return what the DVC experiment that trains a recipe with a seed is called."""
    return f"seed-{seed}-{recipe[:7]}"


def find_run(recipe: str, seed: int, faults: list[NoState]) -> SeedRun | None:
    """Return what training a recipe with a seed gave, if a DVC experiment holds it.

    It may be based on any commit, and counts only if its files say that it is the same recipe.
    Experiments of this name that hold no state are noted in `faults`.
    """
    for snapshot in experiment_snapshots(experiment_name(recipe, seed), faults):
        if snapshot.params[SEED] == seed and identify_recipe(snapshot) == recipe:
            return read_run(snapshot)
    return None


def read_run(snapshot: Snapshot) -> SeedRun:
    """Return the seed, the id and the test metrics of a state, but those by class.

    Raises:
        DataError: its evaluation cannot be read.
    """
    evaluation = files.read_text(snapshot.folder / EVALUATION, json.loads)
    judged = {metric.key: evaluation.get(metric.key) for metric in METRICS if metric.better}
    metrics = {key: value for key, value in judged.items() if not isinstance(value, dict)}
    run = {"seed": snapshot.params[SEED], "state": snapshot.state_id}
    return SeedRun.model_validate(run | metrics)


def _locked_stages(folder: Path) -> dict[str, dict[str, Any]]:
    stages = files.read_text(folder / LOCK, parse_yaml).get("stages", {})
    return {name: stages[name] for name in STAGES}


def _given(stages: Mapping[str, Mapping[str, Any]]) -> dict[Path, str]:
    """Return the MD5 of all that the stages depend on, but of what depends on the seed."""

    def deps() -> Iterator[tuple[Path, str]]:
        for locked in stages.values():
            for dep in locked["deps"]:
                yield Path(dep["path"]), dep["md5"]

    return {path: md5 for path, md5 in deps() if path != MODEL}
