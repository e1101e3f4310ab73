"""How commands end, in real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEADLINE = 60  # seconds: generous, for machines under load

# Runs its argument as the `main` of a command.
COMMAND = """
import os, signal, sys, time
from pipeline.core import stage
from pipeline.core.errors import DataError, ParamsError, PipelineError
def main():
    exec(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
stage.run(main)
"""
WAIT = """
try:
    print("started", os.getpid(), flush=True)
    time.sleep(600)
finally:
    print("unwound", flush=True)
"""
# What DVC is to a stage: a process that started it and waits for it.
PARENT = "import subprocess, sys; subprocess.run(sys.argv[1:])"


def environment(**changes: str) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")}
    return inherited | {"PYTHONPATH": str(ROOT)} | changes


def command(main: str) -> list[str]:
    return [sys.executable, "-c", COMMAND, main]


def run(main: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(main),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a command with pipes, in a process group that is killed when the test ends."""
    with ExitStack() as ends:

        def start_group(*arguments: str, **env: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                arguments,
                env=environment(**env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            ends.enter_context(process)
            ends.callback(kill_group, process.pid)
            return process

        yield start_group


def kill_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def test_command_that_does_its_work_ends_with_0() -> None:
    result = run("print('done')")

    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


@pytest.mark.parametrize(
    ("error", "exit_code"), [("PipelineError", 1), ("DataError", 1), ("ParamsError", 2)]
)
def test_fault_of_the_user_is_told_by_its_message_alone(error: str, exit_code: int) -> None:
    result = run(f"""
try:
    {{}}["inner"]
except KeyError as inner:
    raise {error}("a.yaml: b: is missing\\na.yaml: c: is 1") from inner
""")

    assert result.returncode == exit_code
    assert result.stderr == "a.yaml: b: is missing\na.yaml: c: is 1\n"
    assert result.stdout == ""


@pytest.mark.parametrize("main", ["1 / 0", "raise OSError(28, 'No space left on device')"])
def test_fault_of_the_code_keeps_its_traceback(main: str) -> None:
    result = run(main)

    assert result.returncode == 1
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert "in main" in result.stderr
    assert result.stderr.splitlines()[-1] in (
        "ZeroDivisionError: division by zero",
        "OSError: [Errno 28] No space left on device",
    )


def test_exit_code_that_main_asks_for_is_kept() -> None:
    result = run("sys.exit(7)")

    assert (result.returncode, result.stderr) == (7, "")


@pytest.mark.parametrize(
    ("number", "exit_code", "words"),
    [(signal.SIGINT, 130, "interrupted\n"), (signal.SIGTERM, 143, "")],
)
def test_signal_unwinds_the_command_without_a_traceback(
    start: Start, number: signal.Signals, exit_code: int, words: str
) -> None:
    process = start(*command(WAIT))
    assert read_line(process).startswith("started")

    process.send_signal(number)

    stdout, stderr = process.communicate(timeout=DEADLINE)
    assert process.returncode == exit_code
    assert stdout == "unwound\n"
    assert stderr == words


@pytest.mark.parametrize(
    ("number", "exit_code", "words"),
    # SIGTERM is what a stage that was terminated with its DVC sends to itself, too.
    [(signal.SIGINT, 130, "interrupted\n"), (signal.SIGTERM, 143, "")],
)
def test_second_signal_does_not_interrupt_the_unwinding(
    start: Start, number: signal.Signals, exit_code: int, words: str
) -> None:
    unwind = """
try:
    print("started", flush=True)
    time.sleep(600)
finally:
    print("unwinding", flush=True)
    time.sleep(1)
    print("unwound", flush=True)
"""
    process = start(*command(unwind))
    assert read_line(process) == "started\n"
    process.send_signal(number)
    assert read_line(process) == "unwinding\n"

    process.send_signal(number)

    stdout, stderr = process.communicate(timeout=DEADLINE)
    assert (process.returncode, stdout, stderr) == (exit_code, "unwound\n", words)


def test_stage_of_a_living_parent_is_left_alone(start: Start) -> None:
    process = start(*command("time.sleep(1.5); print('done')"), DVC_STAGE="train")

    stdout, stderr = process.communicate(timeout=DEADLINE)

    assert (process.returncode, stdout, stderr) == (0, "done\n", "")


DIRECTLY: tuple[str, ...] = ()
BY_A_SHELL = ("sh", "-c", '"$0" "$@"; true')  # with more to do, so it does not exec
ways = pytest.mark.parametrize("between", [DIRECTLY, BY_A_SHELL], ids=["directly", "by a shell"])


@ways
def test_stage_ends_with_the_dvc_that_started_it(start: Start, between: tuple[str, ...]) -> None:
    dvc = start(sys.executable, "-c", PARENT, *between, *command(WAIT), DVC_STAGE="train")
    assert read_line(dvc).startswith("started")

    dvc.kill()

    # The pipes close when the last one who holds them ends.
    stdout, stderr = dvc.communicate(timeout=DEADLINE)
    assert stdout == "unwound\n"
    assert stderr == ""


def test_stage_ends_with_the_shell_that_dvc_started(start: Start) -> None:
    main = "print(os.getppid(), flush=True)" + WAIT
    dvc = start(sys.executable, "-c", PARENT, *BY_A_SHELL, *command(main), DVC_STAGE="train")
    shell = int(read_line(dvc))
    assert read_line(dvc).startswith("started")

    os.kill(shell, signal.SIGKILL)

    stdout, stderr = dvc.communicate(timeout=DEADLINE)
    assert stdout == "unwound\n"
    assert stderr == ""


def test_stage_that_is_stuck_ends_with_its_dvc_too(start: Start) -> None:
    stuck = f"""
stage.UNWIND_SECONDS = 1
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
{WAIT}
"""
    dvc = start(sys.executable, "-c", PARENT, *command(stuck), DVC_STAGE="train")
    assert read_line(dvc).startswith("started")

    dvc.kill()

    stdout, _ = dvc.communicate(timeout=DEADLINE)
    assert stdout == ""


def test_command_that_dvc_did_not_start_lives_on_without_its_parent(start: Start) -> None:
    ticks = """
while True:
    print(os.getppid(), flush=True)
    time.sleep(0.1)
"""
    parent = start(sys.executable, "-c", PARENT, *command(ticks))
    assert int(read_line(parent)) == parent.pid

    parent.kill()

    while (line := read_line(parent)) == f"{parent.pid}\n":
        pass
    assert [read_line(parent) for _ in range(20)] == [line] * 20  # ended, it would print ""
    assert line


def test_stage_whose_dvc_ended_during_imports_does_not_go_on(start: Start) -> None:
    slow_imports = """
import os, time
import pipeline
parent = os.getppid()
print("importing", flush=True)
while os.getppid() == parent:
    time.sleep(0.05)
from pipeline.core import stage
stage.run(lambda: [time.sleep(10), print("went on")])
"""
    dvc = start(sys.executable, "-c", PARENT, sys.executable, "-c", slow_imports, DVC_STAGE="train")
    assert read_line(dvc) == "importing\n"

    dvc.kill()

    stdout, _ = dvc.communicate(timeout=DEADLINE)
    assert stdout == ""
