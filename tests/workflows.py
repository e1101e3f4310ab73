"""The workflows of `.github`, and their shell steps run as a runner of GitHub runs them."""

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, Clone

FOLDER = ROOT / ".github/workflows"
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")  # what `shell: bash` means


class Step(NamedTuple):
    """A shell step, with the `env` of its job and its own."""

    workflow: str
    name: str
    run: str
    env: dict[str, str]


class Result(NamedTuple):
    """What a shell step left."""

    returncode: int
    output: str
    summary: str
    outputs: dict[str, str]


def read_workflows() -> dict[str, dict[str, Any]]:
    return {path.stem: YAML(typ="safe").load(path) for path in sorted(FOLDER.glob("*.y*ml"))}


def read_steps() -> list[Step]:
    return [
        Step(name, step["name"], step["run"], {**job.get("env", {}), **step.get("env", {})})
        for name, workflow in read_workflows().items()
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]


def read_step(workflow: str, name: str) -> Step:
    (step,) = (step for step in read_steps() if (step.workflow, step.name) == (workflow, name))
    return step


def find_tool(name: str) -> str:
    """Return an installed command; without it, skip the test, but not in CI."""
    tool = shutil.which(name)
    if tool is None and "CI" not in os.environ:
        pytest.skip(f"{name} is not installed")
    assert tool
    return tool


class Runner:
    """A machine that GitHub would start for a job, with its clone or without one."""

    def __init__(self, folder: Path, clone: Clone | None = None) -> None:
        self.temp = folder / "runner"
        self.temp.mkdir()
        self.tools = folder / "tools"
        self.tools.mkdir()
        self.clone = clone or Clone(folder / "workspace")
        self.clone.path.mkdir(exist_ok=True)

    def add_tool(self, name: str, script: str) -> None:
        """Let an executable script stand in for a command."""
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def run(self, step: Step, values: Mapping[str, str], **env: str) -> Result:
        """Run a step, with the values of the expressions in its `env`, as GitHub would."""
        files = {name: self.temp / name for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
        for path in files.values():
            path.write_text("")
        script = self.temp / "step.sh"
        script.write_text(step.run)
        result = self.clone.run(
            *(*BASH, str(script)),
            check=False,
            **{key: fill_in(value, values) for key, value in step.env.items()},
            **{key: str(path) for key, path in files.items()},
            PATH=f"{self.tools}:{self.clone.env['PATH']}",
            RUNNER_TEMP=str(self.temp),
            GITHUB_WORKSPACE=str(self.clone.path),
            GITHUB_SERVER_URL="https://github.com",
            GITHUB_REPOSITORY="owner/repository",
            **env,
        )
        lines = files["GITHUB_OUTPUT"].read_text().splitlines()
        return Result(
            result.returncode,
            result.stdout,
            files["GITHUB_STEP_SUMMARY"].read_text(),
            dict(line.split("=", maxsplit=1) for line in lines),
        )


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """Replace expressions by their values."""
    return re.sub(r"\$\{\{ *(.+?) *\}\}", lambda match: values[match[1]], text)


def check_out(origin: Clone, revision: str, path: Path) -> Clone:
    """Clone as `actions/checkout` does with the whole history: no cache of DVC, nothing local."""
    origin.run("git", "clone", "--quiet", ".", str(path))
    clone = Clone(path)
    clone.run("git", "checkout", "--quiet", revision)
    return clone


def restore_environment(clone: Clone) -> None:
    """Make `.venv` what a cache hit restores: the environment of these tests, for this lock."""
    environment = clone.path / ".venv"
    environment.mkdir()
    for name in ("bin", "lib"):
        (environment / name).symlink_to(Path(sys.prefix) / name, target_is_directory=True)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", environment)
    clone.run("sh", "-c", "{ pwd; python3 -V; cat requirements/main.txt; } > .venv/origin")
