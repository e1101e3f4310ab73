"""What the stages really read, import and write is what `dvc.yaml` declares: nothing goes stale.

That they fit the code is what `python -m pipeline.check` says; this is what a run shows.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from pipeline.core.package import PACKAGE
from tests.conftest import ROOT, Clone

# Cannot change an output, and must not cause training: no dependency, and may read everything. The
# package of one of them comes with it.
EXCEPTED = (
    "pipeline/tracking/",
    "pipeline/publish.py",
    "pipeline/provenance/params.py",
    "pipeline/provenance/__init__.py",
)
# Params are declared by name; dvc.yaml, which declares, identifies a training run, too; the
# folders are those of DVC's locks and of MLflow.
UNDECLARED = (
    ".dvcignore",
    "params.yaml",
    "requirements/versions.yaml",
    "dvc.yaml",
    ".dvc/tmp/",
    "mlartifacts/",
)


class Stage(NamedTuple):
    """What `dvc.yaml` says of a stage."""

    deps: set[str]
    outs: set[str]


class Trace(NamedTuple):
    """What one process of a stage has done; each file it reads comes with the code that does.

    A module counts as read where it is imported for the first time.
    """

    stage: str
    reads: list[tuple[str, list[str]]]
    writes: list[str]
    connections: Sequence[str] = ()


def read_yaml(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = YAML(typ="safe").load(path)
    return values


def read_stages(root: Path) -> dict[str, Stage]:
    sections = read_yaml(root / "params.yaml")

    def param(match: re.Match[str]) -> str:
        section, key = match[1].split(".")
        return str(sections[section][key])

    def names(declared: dict[str, Any], *kinds: str) -> set[str]:
        entries = [entry for kind in kinds for entry in declared.get(kind, [])]
        plain = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
        return {re.sub(r"\$\{(.+?)\}", param, name) for name in plain}

    return {
        name: Stage(names(declared, "deps"), names(declared, "outs", "metrics", "plots"))
        for name, declared in read_yaml(root / "dvc.yaml")["stages"].items()
    }


def faults(stages: dict[str, Stage], traces: list[Trace], tracked: Iterable[str]) -> Iterator[str]:
    tracked, outs = set(tracked), {out for stage in stages.values() for out in stage.outs}
    for name, stage in stages.items():
        mine = [trace for trace in traces if trace.stage == name]
        read = {
            source_of(path)
            for trace in mine
            for path, code in trace.reads
            if not any(one.startswith(EXCEPTED) for one in [source_of(path), *code])
        }
        written = {path for trace in mine for path in trace.writes if not path.endswith(".pyc")}
        for path in filter(needs_declaration, sorted(read)):
            if not is_within(path, stage.deps):
                yield f"{name}: reads {path}, which is not among its deps"
            if path not in tracked and not is_within(path, outs):
                yield f"{name}: reads {path}, which is neither in Git nor an output"
        for dep in sorted(stage.deps):  # a module may have been imported by excepted code before
            if not dep.startswith(f"{PACKAGE}/") and not any(
                is_within(path, [dep]) for path in read
            ):
                yield f"{name}: depends on {dep}, which it does not read"
        for path in filter(needs_declaration, sorted(written)):
            if not is_within(path, stage.outs):
                yield f"{name}: writes {path}, which is not among its outs"
        for out in sorted(stage.outs):
            if not any(is_within(path, [out]) for path in written):
                yield f"{name}: declares {out} as output, which it does not write"


def source_of(path: str) -> str:
    """Return the module that compiled code is of; other files as they are."""
    compiled = PurePosixPath(path)
    if compiled.suffix != ".pyc":
        return path
    return str(compiled.parents[1] / f"{compiled.name.partition('.')[0]}.py")


def is_within(path: str, declared: Iterable[str]) -> bool:
    """Tell whether a path is declared, or lies in a declared folder."""
    return any(path == one or path.startswith(f"{one}/") for one in declared)


def needs_declaration(path: str) -> bool:
    return not path.startswith(UNDECLARED)


def run_traced(clone: Clone, *command: str) -> list[Trace]:
    """Run a command at the root of a clone and return what its stages did."""
    folder = clone.path.parent / "trace"
    folder.mkdir()
    clone.run(
        *command, PYTHONPATH=str(Path(__file__).parents[2] / "trace"), TRACE_FOLDER=str(folder)
    )
    return [Trace(**json.loads(path.read_text())) for path in folder.iterdir()]


def tracked_files(root: Path) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True
    )
    return listed.stdout.splitlines()


def as_declared(stages: dict[str, Stage]) -> list[Trace]:
    """Return the traces of stages that read and write what they declare."""
    return [
        Trace(name, [(dep, []) for dep in stage.deps], list(stage.outs))
        for name, stage in stages.items()
    ]


def edit(stages: dict[str, Stage], change: str) -> dict[str, Stage]:
    """Change what a stage declares, such as `train deps -data/prepared/val.md5`."""
    name, field, entry = change.split()
    entries = set(getattr(stages[name], field))
    if entry[0] == "+":
        entries.add(entry[1:])
    else:
        entries.remove(entry[1:])
    return stages | {name: stages[name]._replace(**{field: entries})}


def test_all_that_is_read_and_written_is_declared_and_no_network_is_used(
    new_clone: Callable[[], Clone],
) -> None:
    clone = new_clone()
    tracked = tracked_files(clone.path)

    traces = run_traced(clone, "dvc", "repro")

    assert list(faults(read_stages(clone.path), traces, tracked)) == []
    assert [trace.connections for trace in traces] == [[]] * 5  # four stages and publishing


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "train deps -data/prepared/val.md5",
            ["train: reads data/prepared/val.md5, which is not among its deps"],
        ),
        (
            "train deps -pipeline/core",
            ["train: reads pipeline/core/files.py, which is not among its deps"],
        ),
        (
            "train deps +data/prepared/test_images.npy",
            ["train: depends on data/prepared/test_images.npy, which it does not read"],
        ),
        (
            "plot outs -data/state.txt",
            ["plot: writes data/state.txt, which is not among its outs"],
        ),
        (
            "evaluate outs +metrics/timing.json",
            ["evaluate: declares metrics/timing.json as output, which it does not write"],
        ),
        (
            "train outs -metrics/history.csv",
            [
                "train: writes metrics/history.csv, which is not among its outs",
                "plot: reads metrics/history.csv, which is neither in Git nor an output",
            ],
        ),
    ],
)
def test_what_differs_from_the_declarations_is_a_fault(change: str, expected: list[str]) -> None:
    stages = read_stages(ROOT)
    traces = [
        Trace(
            trace.stage,
            [
                (path.replace("pipeline/core", "pipeline/core/files.py"), [])
                for path, _ in trace.reads
            ],
            trace.writes,
        )
        for trace in as_declared(stages)
    ]
    tracked = {path for trace in traces for path, _ in trace.reads} - {"metrics/history.csv"}
    assert list(faults(stages, traces, tracked)) == []

    assert list(faults(edit(stages, change), traces, tracked)) == expected


def test_what_excepted_code_reads_needs_no_declaration() -> None:
    stages = {"train": Stage(set(), set())}
    tracking = ["pipeline/tracking/runs.py", "pipeline/train.py"]
    reads = [
        ("notes.txt", tracking),
        ("pipeline/tracking/__pycache__/runs.cpython-311.pyc", tracking[1:]),
        ("other.txt", tracking[1:]),
    ]

    assert list(faults(stages, [Trace("train", reads, [])], ["notes.txt", "other.txt"])) == [
        "train: reads other.txt, which is not among its deps"
    ]


def test_trace_shows_what_a_stage_does_in_secret(new_clone: Callable[[], Clone]) -> None:
    clone = new_clone()
    tracked = tracked_files(clone.path)
    stages = {"prepare": read_stages(clone.path)["prepare"]}
    (clone.path / "notes.txt").write_text("not in Git")
    with (clone.path / PACKAGE / "prepare.py").open("a") as module:
        module.write("""
import importlib, pathlib
pathlib.Path("notes.txt").read_text()
pathlib.Path("data/extra.json").write_text("{}")
pathlib.Path("data/temporary").write_text("")
pathlib.Path("data/temporary").unlink()
importlib.import_module("pipeline.figures.paths")
""")

    traces = run_traced(clone, "dvc", "repro", "prepare")

    assert list(faults(stages, traces, tracked)) == [
        "prepare: reads notes.txt, which is not among its deps",
        "prepare: reads notes.txt, which is neither in Git nor an output",
        "prepare: reads pipeline/figures/__init__.py, which is not among its deps",
        "prepare: reads pipeline/figures/paths.py, which is not among its deps",
        "prepare: writes data/extra.json, which is not among its outs",
    ]
