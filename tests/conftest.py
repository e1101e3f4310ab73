"""Clones of this repository in which the real `dvc` runs the real pipeline, small."""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from filelock import FileLock
from ruamel.yaml import YAML

# In the background of a script, a shell lets everything ignore Ctrl-C, which tests need to work.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What a user's shell may have set for the code, or for what it uses: no test goes by it.
SETTINGS = (
    *("DVC_", "GIT_", "GITHUB_", "MAKE", "MFLAGS", "MLFLOW_", "PIPELINE_", "RAY_", "TUNE_"),
    *("DNNL_", "KERAS_", "MATPLOTLIBRC", "MPL", "ONEDNN_", "TF_", "XDG_", "XLA_"),
)
for variable in [name for name in os.environ if name.startswith(SETTINGS)]:
    del os.environ[variable]
os.environ["MATPLOTLIBRC"] = os.devnull  # instead of the file in the user's home

from pipeline.core.package import PACKAGE  # noqa: E402
from pipeline.provenance.state import NEUTRAL  # noqa: E402, as it sets some of these itself
from tests import softmax_regression  # noqa: E402

ROOT = Path(__file__).parents[1]
# With it, each of the many processes in a clone would compile the package again.
NOT_PASSED = (*SETTINGS, "PYTHONDONTWRITEBYTECODE")


def complete(path: Path) -> Path:
    """Copy a file of params, and add those that came later, each with its neutral value."""
    copy = Path(tempfile.mkdtemp(prefix="params-")) / path.name
    shutil.copy(path, copy)
    edit_params(copy, NEUTRAL)
    atexit.register(shutil.rmtree, copy.parent)
    return copy


SMALL = {
    "prepare.train_samples": 200,
    "prepare.val_samples": 50,
    "prepare.test_samples": 300,
    "model.conv_blocks": [[4, 8]],
    "model.dense_units": [16],
    "train.epochs": 2,
}


def edit_params(path: Path, changes: Mapping[str, object]) -> None:
    """Set params of a file by their dotted names."""
    yaml = YAML()
    yaml.default_flow_style = False  # as DVC does
    params = yaml.load(path)
    for name, value in changes.items():
        section, key = name.split(".")
        params[section][key] = value
    yaml.dump(params, path)


# Take the place of what is edited from day to day, on which no test may depend.
FROZEN = {
    name: ROOT / "tests/data" / name for name in ("params.yaml", "experiments.yaml", "sweep.yaml")
}
FROZEN["params.yaml"] = complete(FROZEN["params.yaml"])


class Clone:
    """A clone with an environment of its own: nothing of the user's home or settings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        home = path.parent / "home"
        home.mkdir(exist_ok=True)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(NOT_PASSED)} | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "DVC_SITE_CACHE_DIR": str(home / "dvc"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "PIPELINE_MLFLOW_SECONDS": "120",  # however busy the machine is
            **{f"GIT_{who}_NAME": "Test" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "test@example.com" for who in ("AUTHOR", "COMMITTER")},
        }

    def run(
        self, *command: str, check: bool = True, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command at the root of the clone; its output is text, stderr in stdout."""
        result = subprocess.run(
            command,
            cwd=self.path,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and result.returncode:
            pytest.fail(f"{' '.join(command)} exited with {result.returncode}:\n{result.stdout}")
        return result

    def popen(self, *command: str, **env: str) -> subprocess.Popen[str]:
        """Start a command at the root of the clone, in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.path,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def edit_params(self, changes: Mapping[str, object]) -> None:
        """Set params by their dotted names."""
        edit_params(self.path / "params.yaml", changes)

    def read(
        self, folders: tuple[str, ...] = ("data/prepared", "models", "metrics")
    ) -> dict[str, bytes]:
        """Return the content of every file in `folders`, of dvc.lock and of the files in data."""
        paths = [p for folder in folders for p in (self.path / folder).rglob("*") if p.is_file()]
        paths += [self.path / "dvc.lock"]
        paths += [self.path / "data" / name for name in ("observations.npz", "state.txt")]
        return {p.relative_to(self.path).as_posix(): p.read_bytes() for p in sorted(paths)}

    def commit(self, message: str) -> None:
        """Commit everything that is not ignored."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def copy_to(self, path: Path) -> "Clone":
        """Copy the clone with all its files, cache and history, to no folder or an empty one."""
        # What comes and goes while other tests run commands in the shared clone.
        passing = shutil.ignore_patterns("tmp", "*.pyc.*", "*-journal")
        shutil.copytree(self.path, path, symlinks=True, ignore=passing, dirs_exist_ok=True)
        return Clone(path)


def make_clone(path: Path, *, with_tensorflow: bool = False) -> Clone:
    """Commit the files of the working tree, without outputs, to a new repository at `path`.

    Args:
        path: an empty folder.
        with_tensorflow: whether the network is trained, and not softmax regression in its place.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    outputs = {"dvc.lock", *(str(p.relative_to(ROOT)) for p in (ROOT / "metrics").rglob("*.*"))}
    outputs.discard("metrics/.gitignore")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists() and name not in outputs:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(FROZEN.get(name, ROOT / name), path / name)
    if not with_tensorflow:
        for name in softmax_regression.REPLACED:
            shutil.copyfile(softmax_regression.__file__, path / PACKAGE / name)
    clone = Clone(path)
    clone.run("git", "init", "--quiet", "--initial-branch", "main")
    clone.edit_params(SMALL)
    clone.commit("Start")
    return clone


def make_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]
) -> Clone:
    """Build a clone in an empty folder, once for all workers, which share it: read only."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    path = shared / name / "repository"
    done = path.parent / "done"
    with FileLock(f"{path.parent}.lock"):
        if not done.exists():
            path.mkdir(parents=True)
            build(path)
            done.touch()
    return Clone(path)
