"""Run the pipeline with other params in a copy of the working tree, as a DVC experiment."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from pipeline.core.errors import PipelineError
from pipeline.core.package import PACKAGE

COMMAND = [sys.executable, "-m", "dvc", "exp"]
STOP_SECONDS = 30.0  # longer than a stage takes to end
POLL_SECONDS = 0.1
SHOWN_LINES = 10
# What Hydra takes for a string, and not for a number or something else that it knows.
PLAIN_STRING = re.compile(r"(?!(?:null|true|false|inf|nan)$)[a-z][\w-]*", re.IGNORECASE)


def run_experiment(
    name: str,
    changes: Mapping[str, object],
    env: Mapping[str, str],
    copied: Iterable[Path] = (),
) -> None:
    """Run the pipeline with other params; cached results are taken, the working tree stays.

    Args:
        name: of the experiment.
        changes: values of params by their dotted names, instead of those in params.yaml.
        env: additional environment variables.
        copied: what the copy needs although Git does not know it.

    Raises:
        PipelineError: DVC or a stage failed; the message has the end of what they say.
    """
    command = [*COMMAND, "run", "--temp", *arguments(name, changes)]
    for path in copied:
        command += ["--copy-paths", str(path)]
    with tempfile.TemporaryFile() as output:
        if _run(command, env, output):
            output.seek(0)
            lines = output.read().decode(errors="replace").split("\n")
            end = [line.rstrip() for line in lines if line.strip()][-SHOWN_LINES:]
            raise PipelineError("\n    ".join([f"{name}: `dvc exp run` failed:", *end]))


def arguments(name: str, changes: Mapping[str, object]) -> list[str]:
    """Return what `dvc exp run` is given for an experiment, of that name, with other params."""
    settings = [("-S", f"{param}={_to_hydra(value)}") for param, value in changes.items()]
    return ["--name", name, *(word for setting in settings for word in setting)]


def _to_hydra(value: object) -> str:
    """Return a value as Hydra reads it: as JSON, but most strings without quotes."""
    if isinstance(value, str) and PLAIN_STRING.fullmatch(value):
        return value
    return json.dumps(value, separators=(",", ":"))


def end_with_terminal() -> None:
    """Let a terminal that is closed end this process as `kill` does: in order."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))


def remove_experiment(name: str) -> None:
    """Remove an experiment from Git; what it has trained stays in DVC's cache."""
    subprocess.run([*COMMAND, "remove", name], capture_output=True, check=False)  # noqa: S603


def _run(command: list[str], env: Mapping[str, str], output: IO[bytes]) -> int:
    """Run a command of DVC and return its exit code; where this process is stopped, end it first.

    In a session of its own, Ctrl-C does not reach DVC: while it makes or removes the copy, that
    would leave files behind.
    """
    process = None
    try:
        with _signals_put_off():
            process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,  # a file, as a process that outlives DVC would keep a pipe open
                stderr=subprocess.STDOUT,
                env=os.environ | dict(env),
                start_new_session=True,
            )
        return process.wait()
    finally:
        if process and process.poll() is None:
            _stop(process)


@contextmanager
def _signals_put_off() -> Iterator[None]:
    """Let what stops this process wait for the end of the block.

    In the moment between the start of another one and the return of `Popen`, nobody could end it.
    """
    came: list[int] = []
    stopping = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [
        signal.signal(number, lambda number, _frame: came.append(number)) for number in stopping
    ]
    try:
        yield
    finally:
        for number, handler in zip(stopping, handlers, strict=True):
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate the stages that DVC runs, until it has failed because of that, and cleaned up."""
    dvc = psutil.Process(process.pid)
    give_up = time.monotonic() + STOP_SECONDS
    told: set[psutil.Process] = set()
    try:
        while process.poll() is None and time.monotonic() < give_up:
            for child in set(dvc.children(recursive=True)) - told:
                with suppress(psutil.NoSuchProcess):  # it has just ended
                    if any(argument.startswith(f"{PACKAGE}.") for argument in child.cmdline()):
                        child.terminate()
                        told.add(child)
            time.sleep(POLL_SECONDS)
    finally:
        process.kill()  # where it has not ended; its stage notices
        process.wait()
