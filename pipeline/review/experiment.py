"""Train with another seed in a copy of the working tree, as a DVC experiment."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

import psutil

from pipeline.errors import PipelineError
from pipeline.review.recipe import SEED

COMMAND = [sys.executable, "-m", "dvc", "exp"]
STOP_SECONDS = 30.0  # longer than a stage takes to end
POLL_SECONDS = 0.1
SHOWN_LINES = 10


def run_experiment(name: str, seed: int, env: Mapping[str, str]) -> None:
    """Run the pipeline with another seed; cached results are taken, the working tree stays.

    Args:
        name: of the experiment.
        seed: instead of that in params.yaml.
        env: additional environment variables.

    Raises:
        PipelineError: DVC or a stage failed; the message has the end of what they say.
    """
    command = [*COMMAND, "run", "--temp", "--name", name, "--set-param", f"{SEED}={seed}"]
    with tempfile.TemporaryFile() as output:
        if _run(command, env, output):
            output.seek(0)
            lines = output.read().decode(errors="replace").split("\n")
            end = [line.rstrip() for line in lines if line.strip()][-SHOWN_LINES:]
            raise PipelineError("\n    ".join([f"seed {seed}: `dvc exp run` failed:", *end]))


def remove_experiment(name: str) -> None:
    """Remove an experiment from Git; what it has trained stays in DVC's cache."""
    subprocess.run([*COMMAND, "remove", name], capture_output=True, check=False)  # noqa: S603


def _run(command: list[str], env: Mapping[str, str], output: IO[bytes]) -> int:
    """Run a command of DVC and return its exit code; where this process is stopped, end it first.

    In a session of its own, Ctrl-C does not reach DVC: while it makes or removes the copy, that
    would leave files behind.
    """
    process = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,  # a file, as a process that outlives DVC would keep a pipe open
        stderr=subprocess.STDOUT,
        env=os.environ | dict(env),
        start_new_session=True,
    )
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate the stages that DVC runs, until it has failed because of that, and cleaned up."""
    dvc = psutil.Process(process.pid)
    give_up = time.monotonic() + STOP_SECONDS
    told: set[psutil.Process] = set()
    try:
        while process.poll() is None and time.monotonic() < give_up:
            for child in set(dvc.children(recursive=True)) - told:
                with suppress(psutil.NoSuchProcess):  # it has just ended
                    if any(argument.startswith("pipeline.") for argument in child.cmdline()):
                        child.terminate()
                        told.add(child)
            time.sleep(POLL_SECONDS)
    finally:
        process.kill()  # where it has not ended; its stage notices
        process.wait()
