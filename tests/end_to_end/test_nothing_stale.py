"""`dvc.yaml` declares what the stages import, read and write: no change goes stale in silence."""

import ast
import json
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, Clone
from tests.stage_code import Package

# Cannot change an output, and must not cause training: no dependency, and may read everything.
EXCEPTED = ("pipeline.tracking", "pipeline.publish")
EXCEPTED_FILES = tuple(name.replace(".", "/") + end for name in EXCEPTED for end in (".py", "/"))
# Params are declared by name; dvc.yaml, which declares, is among what identifies a training; the
# folders are those of DVC's locks and of MLflow.
UNDECLARED = ("params.yaml", "dvc.yaml", ".dvc/tmp/", "mlartifacts/")


class Stage(NamedTuple):
    """What `dvc.yaml` says of a stage."""

    modules: set[str]
    deps: set[str]
    params: set[str]
    outs: set[str]


class Trace(NamedTuple):
    """What one process of a stage has done; each file it reads comes with the code that does."""

    stage: str
    reads: list[tuple[str, list[str]]]
    writes: list[str]
    imports: list[str]
    connections: Sequence[str] = ()


def read_yaml(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = YAML(typ="safe").load(path)
    return values


def read_params(root: Path) -> dict[str, Any]:
    sections = read_yaml(root / "params.yaml").items()
    return {f"{section}.{key}": value for section, keys in sections for key, value in keys.items()}


def read_stages(root: Path) -> dict[str, Stage]:
    params = read_params(root)

    def names(declared: dict[str, Any], *kinds: str) -> set[str]:
        entries = [entry for kind in kinds for entry in declared.get(kind, [])]
        plain = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
        return {re.sub(r"\$\{(.+?)\}", lambda match: params[match[1]], name) for name in plain}

    return {
        name: Stage(
            set(re.findall(r"python -m ([\w.]+)", str(declared["cmd"]))),
            names(declared, "deps"),
            names(declared, "params"),
            names(declared, "outs", "metrics", "plots"),
        )
        for name, declared in read_yaml(root / "dvc.yaml")["stages"].items()
    }


def read_sources(root: Path) -> dict[str, str]:
    paths = (root / "pipeline").rglob("*.py")
    return {path.relative_to(root).as_posix(): path.read_text() for path in paths}


def module_faults(stages: dict[str, Stage], package: Package) -> Iterator[str]:
    for name, stage in stages.items():
        imported = package.paths(package.reach(stage.modules))
        declared = {dep for dep in stage.deps if dep.endswith(".py")}
        for path in sorted(imported - declared):
            yield f"{name}: imports {path}, which is not among its deps"
        for path in sorted(declared - imported):
            yield f"{name}: depends on {path}, which it does not import"


def param_faults(
    stages: dict[str, Stage], package: Package, leaves: Iterable[str]
) -> Iterator[str]:
    leaves = sorted(leaves)

    def expand(names: Iterable[str]) -> set[str]:
        return {leaf for leaf in leaves for name in names if within(leaf, name, ".")}

    used = set()
    for name, stage in stages.items():
        named = package.params_read(package.reach(stage.modules), leaves)
        read, declared = expand(named), expand(stage.params)
        used |= expand(named - {""})
        for leaf in sorted(read - declared):
            yield f"{name}: reads {leaf}, which is not among its params"
        for leaf in sorted(declared - read):
            yield f"{name}: declares {leaf}, which it does not read"
        for param in sorted(stage.params):
            if not expand([param]):
                yield f"{name}: declares {param}, which params.yaml does not have"
    for leaf in leaves:
        if leaf not in used:
            yield f"params.yaml: {leaf} is used by no stage"


def file_faults(
    stages: dict[str, Stage], traces: list[Trace], tracked: Iterable[str]
) -> Iterator[str]:
    known = {*tracked, *(out for stage in stages.values() for out in stage.outs)}
    for name, stage in stages.items():
        mine = [trace for trace in traces if trace.stage == name]
        read = {path for trace in mine for path, code in trace.reads if not is_excepted(code)}
        written = {path for trace in mine for path in trace.writes}
        deps = {dep for dep in stage.deps if not dep.endswith(".py")}
        for path in filter(needs_declaration, sorted(read)):
            if not any(within(path, dep, "/") for dep in deps):
                yield f"{name}: reads {path}, which is not among its deps"
            if path not in known:
                yield f"{name}: reads {path}, which is neither in Git nor an output"
        for dep in sorted(deps):
            if not any(within(path, dep, "/") for path in read):
                yield f"{name}: depends on {dep}, which it does not read"
        for path in filter(needs_declaration, sorted(written)):
            if not any(within(path, out, "/") for out in stage.outs):
                yield f"{name}: writes {path}, which is not among its outs"
        for out in sorted(stage.outs):
            if not any(within(path, out, "/") for path in written):
                yield f"{name}: declares {out} as output, which it does not write"


def late_import_faults(
    stages: dict[str, Stage], traces: list[Trace], everything: Package
) -> Iterator[str]:
    for name, stage in stages.items():
        stated = everything.paths(everything.reach(stage.modules))
        imported = {path for trace in traces if trace.stage == name for path in trace.imports}
        for path in sorted(imported - stated):
            yield f"{name}: has imported {path}, which no import statement names"


def within(name: str, group: str, separator: str) -> bool:
    return group in ("", name) or name.startswith(group + separator)


def needs_declaration(path: str) -> bool:
    return not path.startswith(UNDECLARED) and not path.endswith((".py", ".pyc"))


def is_excepted(code: list[str]) -> bool:
    return any(path.startswith(EXCEPTED_FILES) for path in code)


def run_traced(clone: Clone, *command: str) -> list[Trace]:
    """Run a command at the root of a clone and return what its stages did."""
    folder = clone.path.parent / "trace"
    folder.mkdir()
    clone.run(
        *command, PYTHONPATH=str(Path(__file__).parents[1] / "trace"), TRACE_FOLDER=str(folder)
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
        Trace(name, [(dep, []) for dep in stage.deps], list(stage.outs), [])
        for name, stage in stages.items()
    ]


def edit(stages: dict[str, Stage], change: str) -> dict[str, Stage]:
    """Change what a stage declares, such as `train params -seed`."""
    name, field, entry = change.split()
    entries = set(getattr(stages[name], field))
    if entry[0] == "+":
        entries.add(entry[1:])
    else:
        entries.remove(entry[1:])
    return stages | {name: stages[name]._replace(**{field: entries})}


def test_modules_and_params_are_declared() -> None:
    stages, package = read_stages(ROOT), Package(read_sources(ROOT), EXCEPTED)

    assert list(module_faults(stages, package)) == []
    assert list(param_faults(stages, package, read_params(ROOT))) == []


def test_only_tracking_knows_mlflow() -> None:
    for path, source in read_sources(ROOT).items():
        names = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(source))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert "mlflow" not in names or path.startswith("pipeline/tracking/"), path


def test_files_are_declared_and_no_network_is_used(new_clone: Callable[[], Clone]) -> None:
    clone = new_clone()
    tracked = tracked_files(clone.path)

    traces = run_traced(clone, "dvc", "repro")

    stages, everything = read_stages(clone.path), Package(read_sources(clone.path))
    assert list(file_faults(stages, traces, tracked)) == []
    assert list(late_import_faults(stages, traces, everything)) == []
    assert [trace.connections for trace in traces] == [[]] * 5  # four stages and publishing


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (
            "evaluate deps -pipeline/evaluation/calibration.py",  # only scores imports it
            ["evaluate: imports pipeline/evaluation/calibration.py, which is not among its deps"],
        ),
        (
            "train deps -pipeline/__init__.py",
            ["train: imports pipeline/__init__.py, which is not among its deps"],
        ),
        (
            "prepare deps +pipeline/model/network.py",
            ["prepare: depends on pipeline/model/network.py, which it does not import"],
        ),
        (
            "train deps +pipeline/tracking.py",
            ["train: depends on pipeline/tracking.py, which it does not import"],
        ),
        (
            "evaluate params -train.threads",
            ["evaluate: reads train.threads, which is not among its params"],
        ),
        (
            "plot params -evaluate",
            [
                "plot: reads evaluate.confidence, which is not among its params",
                "plot: reads evaluate.images, which is not among its params",
            ],
        ),
        (
            "evaluate params +train.seed",
            ["evaluate: declares train.seed, which it does not read"],
        ),
        (
            "prepare params +evaluate",
            [
                "prepare: declares evaluate.confidence, which it does not read",
                "prepare: declares evaluate.images, which it does not read",
            ],
        ),
        (
            "train params +train.epoch",
            ["train: declares train.epoch, which params.yaml does not have"],
        ),
    ],
)
def test_wrong_modules_and_params_are_faults(change: str, faults: list[str]) -> None:
    stages, package = edit(read_stages(ROOT), change), Package(read_sources(ROOT), EXCEPTED)

    found = [*module_faults(stages, package), *param_faults(stages, package, read_params(ROOT))]

    assert found == faults


def test_param_that_no_stage_uses_is_a_fault() -> None:
    stages, package = read_stages(ROOT), Package(read_sources(ROOT), EXCEPTED)

    assert list(param_faults(stages, package, [*read_params(ROOT), "train.momentum"])) == [
        "train: declares train.momentum, which it does not read",
        "params.yaml: train.momentum is used by no stage",
    ]


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (
            "train deps -data/prepared/val.md5",
            ["train: reads data/prepared/val.md5, which is not among its deps"],
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
def test_wrong_files_are_faults(change: str, faults: list[str]) -> None:
    stages = read_stages(ROOT)
    traces = as_declared(stages)
    assert list(file_faults(stages, traces, ["data/raw/mnist"])) == []

    assert list(file_faults(edit(stages, change), traces, ["data/raw/mnist"])) == faults


def test_what_tracking_reads_needs_no_declaration() -> None:
    stages = {"train": Stage({"pipeline.train"}, set(), set(), set())}
    tracking = ["pipeline/tracking.py", "pipeline/train.py"]
    traces = [Trace("train", [("notes.txt", tracking), ("other.txt", tracking[1:])], [], [])]

    assert list(file_faults(stages, traces, ["notes.txt", "other.txt"])) == [
        "train: reads other.txt, which is not among its deps"
    ]


def test_trace_shows_what_a_stage_does_in_secret(new_clone: Callable[[], Clone]) -> None:
    clone = new_clone()
    tracked = tracked_files(clone.path)
    everything = Package(read_sources(clone.path))
    stages = {"prepare": read_stages(clone.path)["prepare"]}
    (clone.path / "notes.txt").write_text("not in Git")
    with (clone.path / "pipeline" / "prepare.py").open("a") as module:
        module.write("""
import importlib, pathlib
pathlib.Path("notes.txt").read_text()
pathlib.Path("data/extra.json").write_text("{}")
pathlib.Path("data/temporary").write_text("")
pathlib.Path("data/temporary").unlink()
importlib.import_module("pipeline.provenance.state")
""")

    traces = run_traced(clone, "dvc", "repro", "prepare")

    assert [
        *file_faults(stages, traces, tracked),
        *late_import_faults(stages, traces, everything),
    ] == [
        "prepare: reads notes.txt, which is not among its deps",
        "prepare: reads notes.txt, which is neither in Git nor an output",
        "prepare: writes data/extra.json, which is not among its outs",
        "prepare: has imported pipeline/provenance/state.py, which no import statement names",
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "import pipeline.review.compare",
        "import pipeline.review.compare as compare",
        "from pipeline.review import compare",
        "from pipeline.review.compare import CHANGES",
        "from .review import compare",
        "def late():\n    from pipeline.review import compare",
    ],
)
def test_every_kind_of_import_is_noticed(statement: str) -> None:
    sources = {
        "pipeline/__init__.py": "",
        "pipeline/plot.py": statement,
        "pipeline/review/__init__.py": "from pipeline import errors",
        "pipeline/review/compare.py": "CHANGES = []",
        "pipeline/core/errors.py": "",
        "pipeline/unused.py": "",
    }

    assert Package(sources).reach(["pipeline.plot"]) == {
        "pipeline",
        "pipeline.plot",
        "pipeline.review",
        "pipeline.review.compare",
        "pipeline.core.errors",
    }


def test_module_without_imports_needs_its_package() -> None:
    sources = {"pipeline/__init__.py": "", "pipeline/plot.py": ""}

    assert Package(sources).reach(["pipeline.plot"]) == {"pipeline", "pipeline.plot"}


def test_search_does_not_go_through_excepted_modules() -> None:
    sources = {
        "pipeline/__init__.py": "",
        "pipeline/train.py": "from pipeline import tracking",
        "pipeline/tracking/__init__.py": "from pipeline import state",
        "pipeline/provenance/state.py": "",
    }

    assert Package(sources, EXCEPTED).reach(["pipeline.train"]) == {"pipeline", "pipeline.train"}


@pytest.mark.parametrize(
    ("body", "reads"),
    [
        ("load_params()", {""}),
        ("load_params().train.seed", {"train.seed"}),
        ("params = load_params(); params.train.seed", {"train.seed"}),
        ("train = load_params().train; train.seed", {"train.seed"}),
        ("params: Params = load_params(); params.train.seed", {"train.seed"}),
        ("if params := load_params(): params.train.seed", {"train.seed"}),
        ("params = load_params(); (lambda: params.train.seed)()", {"train.seed"}),
        ("def f(): return params.train.seed\n    params = load_params()", {"train.seed"}),
        ("load_params().train.optimizer.upper()", {"train.optimizer"}),
        ("load_params().train.model_dump()", {"train"}),
        ("print(load_params())", {""}),
        ("fit(load_params().train)", {"train.seed", "train.optimizer"}),
        ("fit(params=load_params().train)", {"train.seed", "train.optimizer"}),
        ("network.build(load_params().model)", {"model.dropout"}),
        ("network.build(*[load_params().model])", {"model"}),
        ("network.ignore(load_params().train.seed)", set()),
        ("tracking.TrainingRun(load_params())", set()),
        ("tracking.log(load_params().model, load_params().train.seed)", set()),
        ("a, b = load_params().train, load_params().model.dropout", {"train", "model.dropout"}),
        ("pass\n\nof_module = load_params().train", {"train"}),
        ("unused = load_params().train.seed", set()),
    ],
)
def test_params_are_followed_through_the_code(body: str, reads: set[str]) -> None:
    train = f"""
from pipeline import network, tracking
from pipeline.provenance.params import load_params

def fit(params):
    def end_epoch(): print(params.seed)
    choose(params)

def choose(these): these.optimizer

def never_called(params): params.epochs

def main():
    {body}
"""
    sources = {
        "pipeline/train.py": train,
        "pipeline/model/network.py": "def build(p): p.dropout\ndef ignore(seed): pass",
        "pipeline/tracking.py": "def log(params, seed): params.dropout",
        "pipeline/provenance/params.py": "def load_params(): pass",
    }
    leaves = ["train.seed", "train.optimizer", "train.epochs", "model.dropout", "model.kernel_size"]
    package = Package(sources, EXCEPTED)

    assert package.params_read(package.reach(["pipeline.train"]), leaves) == reads
