"""`pipeline.check` finds what `dvc.yaml` does not declare, all of it at once, and can write it."""

import importlib
import io
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from ruamel.yaml import YAML

from pipeline.core.package import PACKAGE
from tests.conftest import FROZEN

ROOT = Path(__file__).parents[2]
CHECKED = (PACKAGE, "requirements")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the code and of what it is compared with, all in Git; the current folder."""
    for name in CHECKED:
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.txt")
        )
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copy(FROZEN["params.yaml"], tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


class Checked(NamedTuple):
    """The exit code of the check, and what it printed."""

    returncode: int
    stdout: str


@contextmanager
def own_modules() -> Iterator[None]:
    """Import the package again, as it is in the current folder, and forget it afterwards."""

    def remove() -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name.partition(".")[0] == PACKAGE]
        return {name: sys.modules.pop(name) for name in names}

    known = remove()
    importlib.invalidate_caches()
    try:
        yield
    finally:
        remove()
        sys.modules.update(known)


def check(*arguments: str) -> Checked:
    """Check the project in this process: a new one would spend most of its time on imports."""
    with (
        own_modules(),
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as out,
    ):
        patch.setattr(sys, "argv", ["check", *arguments])
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(f"{PACKAGE}.check.__main__").main()
    return Checked(int(ended.value.code or 0), out.getvalue())


def run_check(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Check the project as people do."""
    command = [sys.executable, "-m", "pipeline.check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def insert(path: str, before: str, line: str) -> None:
    """Add a line before the first one that starts like that."""
    lines = Path(path).read_text().splitlines(keepends=True)
    place = next(number for number, found in enumerate(lines) if found.startswith(before))
    Path(path).write_text("".join([*lines[:place], f"{line}\n", *lines[place:]]))


def edit_stage(name: str, kind: str, change: Callable[[list[object]], None]) -> None:
    yaml = YAML()
    declared = yaml.load(Path("dvc.yaml"))
    change(declared["stages"][name][kind])
    yaml.dump(declared, Path("dvc.yaml"))


def leave_out_much() -> list[str]:
    """Let code use what is not declared; return what the check is to say."""
    insert("pipeline/evaluation/scores.py", "import math", "import matplotlib")
    insert("pipeline/evaluation/scores.py", "import math", "import pipeline.statistics.paired")
    insert("pipeline/figures/curves.py", "import numpy", "from pipeline.training import history")
    insert("pipeline/evaluate.py", "from pipeline.model", "from pipeline.data.paths import DATASET")
    insert("pipeline/evaluate.py", "    errors: Path", "    described: Path = DATASET,")
    edit_stage("train", "params", lambda params: params.remove("augmentation"))
    edit_stage("train", "deps", lambda deps: deps.remove("pipeline/training"))
    return [
        "train imports pipeline/training/__init__.py: add pipeline/training to deps",
        "train uses augmentation of params.yaml: add it to params",
        "evaluate imports pipeline/data/__init__.py: add pipeline/data/__init__.py to deps",
        "evaluate imports pipeline/data/paths.py: add pipeline/data/paths.py to deps",
        *(
            f"evaluate imports {path}: add {path} to deps"
            for path in (
                f"pipeline/statistics/{name}.py" for name in ("__init__", "melding", "paired")
            )
        ),
        "evaluate uses matplotlib of requirements/versions.yaml: add it to params",
        "evaluate names metrics/dataset.json in main: add it to deps",
        "plot imports pipeline/training/history.py: add pipeline/training/history.py to deps",
    ]


def test_what_is_declared_passes_without_a_word(project: Path) -> None:
    result = run_check()

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert not list(project.glob(".*cache*"))


def test_all_that_is_undeclared_is_said_at_once_and_can_be_fixed(project: Path) -> None:
    expected = [f"dvc.yaml: {line}" for line in leave_out_much()]
    remedy = "`python -m pipeline.check --fix` writes what is missing"

    result = run_check()

    assert (result.returncode, result.stderr) == (1, f"{remedy}\n")
    assert result.stdout.splitlines() == expected

    fixed = check("--fix")

    assert fixed.returncode == 0
    assert fixed.stdout.splitlines() == [f"{line}: done" for line in expected]
    assert check().stdout == ""
    stages = YAML(typ="safe").load(project / "dvc.yaml")["stages"]
    assert {"requirements/versions.yaml": ["keras", "tensorflow", "matplotlib"]} in (
        stages["evaluate"]["params"]
    )
    comments = [line for line in (ROOT / "dvc.yaml").read_text().splitlines() if "#" in line]
    assert comments == [line for line in Path("dvc.yaml").read_text().splitlines() if "#" in line]


def test_fix_leaves_what_is_right_as_it_is(project: Path) -> None:
    before = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(before.replace("      - pipeline/train.py\n", ""))

    assert check("--fix").returncode == 0
    assert (project / "dvc.yaml").read_text() == before


def test_lists_that_a_stage_lacked_leave_the_next_stage_its_comment(project: Path) -> None:
    text = (project / "dvc.yaml").read_text()
    before, _, train = text.partition("  train:\n")
    lists = train[train.index("    deps:") : train.index("    outs:")]
    bare = f"{before}  train:\n{train.replace(lists, '')}"
    (project / "dvc.yaml").write_text(bare.replace("  evaluate:", "  # Judge.\n  evaluate:"))

    assert check("--fix").returncode == 0

    fixed = (project / "dvc.yaml").read_text()
    assert "  # Judge.\n  evaluate:\n" in fixed
    stage = YAML(typ="safe").load(fixed)["stages"]["train"]
    assert list(stage) == ["cmd", "deps", "params", "outs", "plots"]


@pytest.mark.usefixtures("project")
def test_what_is_declared_in_vain_is_said() -> None:
    edit_stage("prepare", "params", lambda params: params.append("train.seed"))
    edit_stage("prepare", "deps", lambda deps: deps.append("pipeline/statistics"))
    edit_stage("evaluate", "deps", lambda deps: deps.append("metrics/history.csv"))

    result = check("--fix")  # which takes nothing away

    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "dvc.yaml: prepare does not import pipeline/statistics: remove it from deps",
        "dvc.yaml: prepare does not use train.seed of params.yaml: remove it from params",
        "dvc.yaml: evaluate does not name metrics/history.csv in main: remove it, or add it there",
    ]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("kept", ["", ": {cache: true}"])
def test_metric_that_git_would_not_have_is_named(kept: str) -> None:
    text = Path("dvc.yaml").read_text()
    declared = "- metrics/dataset.json: {cache: false}"
    assert declared in text
    Path("dvc.yaml").write_text(text.replace(declared, f"- metrics/dataset.json{kept}"))

    result = check()

    assert result.returncode == 1
    assert result.stdout == (
        "dvc.yaml: prepare leaves metrics/dataset.json to DVC's cache: declare it with "
        "`cache: false`, and Git, MLflow and reports have it\n"
    )


@pytest.mark.usefixtures("project")
def test_stage_that_runs_no_module_of_the_package_is_left_alone() -> None:
    yaml = YAML()
    declared = yaml.load(Path("dvc.yaml"))
    declared["stages"]["other"] = {"cmd": "sh other.sh", "deps": ["other.sh"], "params": ["train"]}
    yaml.dump(declared, Path("dvc.yaml"))

    assert check().stdout == ""


@pytest.mark.usefixtures("project")
def test_file_that_a_clone_would_lack_is_named() -> None:
    Path("pipeline/model/notes.txt").write_text("for me")
    Path("pipeline/tracking/notes.txt").write_text("no stage depends on its folder")
    Path("pipeline/model/__pycache__").mkdir()
    Path("pipeline/model/__pycache__/network.pyc").touch()  # as .dvcignore has it
    Path("pipeline/model/.ipynb_checkpoints").mkdir()
    Path("pipeline/model/.ipynb_checkpoints/a.py").touch()

    result = check()

    assert result.returncode == 1
    assert result.stdout == (
        "pipeline/model/notes.txt is not in Git, but dvc.yaml depends on its folder: `git add` it\n"
    )


@pytest.mark.usefixtures("project")
def test_params_that_would_be_refused_are_told_first() -> None:
    yaml = YAML()
    params = yaml.load(Path("params.yaml"))
    params["train"]["epochs"] = 0
    yaml.dump(params, Path("params.yaml"))

    result = check()

    assert result.returncode == 1
    assert result.stdout == "params.yaml: train.epochs: must be at least 1, got 0\n"


@pytest.mark.usefixtures("project")
def test_network_that_does_not_fit_the_raw_images_is_told_before_a_run() -> None:
    images, labels = np.zeros((2, 6, 9), np.uint8), np.array([0, 1], np.uint8)
    Path("data/raw/mnist").mkdir(parents=True)
    path = "data/raw/mnist/small.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)

    result = check("--stages")

    assert result.returncode == 1
    assert result.stdout == (
        "params.yaml: model.conv_blocks: layer 3 of block 1 leaves nothing of images of 6x9 "
        "pixels; use fewer layers or a smaller kernel_size\n"
    )


@pytest.mark.usefixtures("project")
def test_default_of_main_that_cannot_be_told_is_named() -> None:
    text = Path("pipeline/evaluate.py").read_text()
    Path("pipeline/evaluate.py").write_text(
        text.replace("model: Path = MODEL,", 'model: Path = MODEL.with_name("other"),')
    )

    result = check()

    assert result.returncode == 1
    assert result.stdout == (
        "pipeline/evaluate.py: main: the default MODEL.with_name('other') must be a name that is "
        "imported from where the params or the path are defined, or a Path('...') that only this "
        "stage knows\n"
    )


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("command", ["python3 -m pipeline.train", "python -u -m pipeline.train"])
def test_stage_is_known_however_python_is_called(command: str) -> None:
    set_command("train", command)
    edit_stage("train", "deps", lambda deps: deps.remove("pipeline/training"))

    assert check().stdout.startswith("dvc.yaml: train imports pipeline/training/__init__.py: add ")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("python -m pipeline.prepar", "there is no module pipeline.prepar to run"),
        ("sh x.sh", "prepare runs no `python -m pipeline...`, so nothing can be compared"),
    ],
)
def test_stage_that_cannot_be_compared_is_named(command: str, message: str) -> None:
    set_command("prepare", command)

    result = check()

    assert (result.returncode, result.stdout) == (1, f"dvc.yaml: {message}\n")


@pytest.mark.usefixtures("project")
def test_code_that_cannot_be_followed_is_named() -> None:
    Path("pipeline/loose").mkdir()
    Path("pipeline/loose/code.py").touch()
    text = Path("pipeline/prepare.py").read_text()
    start, end = text.index("def main("), text.index(") -> None:")
    Path("pipeline/prepare.py").write_text(f"{text[:start]}def main({text[end:]}")

    assert check().stdout.splitlines() == [
        "pipeline/loose has no __init__.py, so what it imports cannot be followed",
        "pipeline/prepare.py: main: must have its params and files as defaulted arguments",
    ]


@pytest.mark.usefixtures("project")
def test_imports_of_a_package_itself_are_followed() -> None:
    with Path("pipeline/model/__init__.py").open("a") as file:
        file.write("from pipeline.statistics import difference\n")

    assert "dvc.yaml: train imports pipeline/statistics/difference.py: add " in check().stdout


def test_what_nothing_uses_is_named(project: Path) -> None:
    """But stops no `dvc repro`: somebody may be about to write it."""
    stage = "def main(made: Path = Path('made.txt')) -> None: ...\n"
    Path("pipeline/unused.py").write_text(f"from pathlib import Path\n\n{stage}")
    Path("pipeline/data/unused_reader.py").touch()
    Path("pipeline/figures/new.py").touch()
    subprocess.run(["git", "add", "--all"], cwd=project, check=True)
    insert(
        "pipeline/evaluation/scores.py",
        "METRICS = (",
        "def _unused() -> None: _unused()",
    )
    insert("pipeline/figures/curves.py", "def _curves", "def sureness() -> None: ...")
    for line in ("    droop: float = neutral(0.0)", '    """How far to droop."""'):
        insert("pipeline/model/params.py", "class RuntimeParams", line)
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("\nmodel:\n", "\nmodel:\n  droop: 0.0\n"))

    result = check()

    assert result.returncode == 1
    assert [line.partition(": is its entry")[0] for line in result.stdout.splitlines()] == [
        "pipeline/data/unused_reader.py: no stage imports it, but dvc.yaml depends on its folder",
        "pipeline/figures/new.py: no stage imports it, but dvc.yaml depends on its folder",
        "pipeline/evaluation/scores.py: nothing uses _unused",
        "pipeline/figures/curves.py: nothing uses sureness",
        "pipeline/model/params.py: nothing uses droop",
        "pipeline/unused.py: main has its params and files as defaulted arguments, as that of "
        "a stage, but no stage of dvc.yaml runs it",
    ]
    assert check("--stages").returncode == 0


@pytest.mark.usefixtures("project")
def test_workers_that_could_not_train_are_told_before_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TF_CONFIG", "{}")

    result = check("--stages")

    assert result.returncode == 1
    assert result.stdout.startswith("TF_CONFIG: is set, but no longer starts workers: ")


@pytest.mark.usefixtures("project")
def test_syntax_error_is_one_line() -> None:
    Path("pipeline/model/broken.py").write_text("def")

    result = run_check()

    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "broken.py" in result.stderr


@pytest.mark.usefixtures("project")
def test_versions_are_those_of_the_lock() -> None:
    Path("requirements/main.txt").write_text(
        "keras==9.9.1 \\\n    --hash=x\nmatplotlib==3.1\ntensorflow==2.0\n"
    )

    assert check("--stages").stdout == ""
    assert check().stdout.startswith(
        "requirements/versions.yaml is not what requirements/main.txt has\n"
    )
    assert check("--fix").returncode == 0
    assert YAML(typ="safe").load(Path("requirements/versions.yaml")) == {
        "keras": "9.9.1",
        "matplotlib": "3.1",
        "tensorflow": "2.0",
    }
    Path("requirements/main.txt").write_text("keras==9.9.1\ntensorflow==2.0\n")
    missing = "requirements/versions.yaml: matplotlib: not in requirements/main.txt"
    assert run_check("--fix").stderr.splitlines() == [missing]


def set_command(name: str, command: str) -> None:
    yaml = YAML()
    declared = yaml.load(Path("dvc.yaml"))
    declared["stages"][name]["cmd"] = command
    yaml.dump(declared, Path("dvc.yaml"))


@pytest.mark.usefixtures("project")
def test_stage_that_publishes_waits_for_every_result_and_need_not_read_it() -> None:
    module = (
        '"""A stage that only writes."""\n\nfrom pathlib import Path\n\n\n'
        'def main(made: Path = Path("metrics/made.json")) -> None:\n    """Write."""\n'
    )
    Path("pipeline/make.py").write_text(module)
    entry = "  make:\n    cmd: python -m pipeline.make\n    deps: [pipeline/__init__.py]\n"
    insert("dvc.yaml", "  prepare:", f"{entry}    metrics: [metrics/made.json: {{cache: false}}]")
    subprocess.run(["git", "add", "--all"], check=True)

    assert "dvc.yaml: plot publishes metrics/made.json: add it to deps\n" in check().stdout
    check("--fix")
    assert check().stdout == ""
