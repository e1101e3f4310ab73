"""A clone of HEAD to measure in, with an environment of its own.

Nothing large is imported here and in what imports it: where a process is started, Linux counts
the peak memory of the one that started it as its own.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, NamedTuple, Self

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
MEGABYTE = 2**20 if sys.platform == "darwin" else 2**10  # in units of ru_maxrss
OUTPUTS = ("data/prepared", "models", "metrics")


class Run(NamedTuple):
    """What a command took and printed.

    Attributes:
        seconds: from start to end.
        peak_mb: memory of its largest process.
        output: what it printed.
    """

    seconds: float
    peak_mb: float
    output: str


class Clone:
    """A clone that takes nothing from the user's home or settings."""

    def __init__(self, path: Path, **env: str) -> None:
        self.path = path
        self._home = path.parent / "home"
        self._home.mkdir(parents=True)
        users = (
            *("DVC_", "GIT_", "MLFLOW_", "PIPELINE_", "RAY_", "TUNE_", "XDG_"),
            *("DNNL_", "KERAS_", "MPL", "ONEDNN_", "TF_", "XLA_"),
        )
        self._env = {k: v for k, v in os.environ.items() if not k.startswith(users)} | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self._home),
            "DVC_SITE_CACHE_DIR": str(self._home / "dvc"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **env,
        }

    @classmethod
    def make(cls, path: Path, **env: str) -> Self:
        """Clone HEAD to `path`, and let matplotlib list the fonts of the machine, once."""
        clone = cls(path, **env)
        clone.run("git", "clone", "--quiet", str(ROOT), str(path), cwd=ROOT)
        clone.run("python", "-c", "import matplotlib.font_manager")
        return clone

    def run(self, *command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Run:
        """Run a command at the root of the clone, or in `cwd`, with `env` on top of its own.

        Raises:
            SystemExit: it failed; its output is the message.
        """
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            start = time.perf_counter()
            process = subprocess.Popen(  # noqa: S603
                command,
                cwd=cwd or self.path,
                env=self._env | (env or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            printed, faults = _read(output), _read(errors)
        if process.returncode:
            sys.exit(f"{shlex.join(command)} exited with {process.returncode}:\n{printed}{faults}")
        peak = usage.ru_maxrss / MEGABYTE
        return Run(seconds, peak, printed)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command at the root of the clone, in a process group of its own."""
        return subprocess.Popen(  # noqa: S603
            command,
            cwd=self.path,
            env=self._env | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def edit_params(self, changes: dict[str, object]) -> None:
        """Set params by their dotted names."""
        path = self.path / "params.yaml"
        yaml = YAML()
        params = yaml.load(path)
        for name, value in changes.items():
            section, key = name.split(".")
            params[section][key] = value
        yaml.dump(params, path)

    def forget(self) -> None:
        """Remove everything that was made here, except MLflow's store."""
        kept = ("/mlflow.db*", "/mlartifacts", "__pycache__")
        self.run("git", "clean", "-fdxq", *(f"--exclude={pattern}" for pattern in kept))
        (self.path / "dvc.lock").unlink(missing_ok=True)
        shutil.rmtree(self._home / "dvc", ignore_errors=True)

    def digests(self) -> dict[str, str]:
        """Return a digest of each file that the pipeline makes, by its path."""
        paths = [path for folder in OUTPUTS for path in (self.path / folder).rglob("*")]
        paths += [self.path / "dvc.lock", self.path / "data/state.txt"]
        return {
            path.relative_to(self.path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(paths)
            if path.is_file()
        }


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
