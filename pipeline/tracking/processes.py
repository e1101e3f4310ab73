"""Which process is which: PIDs are reused, and containers start with the same ones."""

from pathlib import Path

import psutil

SAME_START_SECONDS = 60  # the clock that a start is computed with may be set


def identify_process(process: psutil.Process) -> str:
    """Return the PID of a process, when it started, in seconds since 1970, and whose it is."""
    return f"{process.pid} {process.create_time():.0f} {_namespace()}"


def _namespace() -> str:
    """Return which numbers these are: on Linux, a container has its own."""
    link = Path("/proc/self/ns/pid")
    return str(link.readlink()) if link.exists() else "all"


def is_same(identity: str, process: psutil.Process) -> bool:
    """Tell whether a process is the one of that identity."""
    pid, start, *_ = identity.split()
    same_start = abs(process.create_time() - float(start)) < SAME_START_SECONDS
    return process.pid == int(pid) and same_start


def is_running(identity: str) -> bool:
    """Tell whether the process of that identity is there; one of another container may be."""
    if identity.split()[2:] not in ([], [_namespace()]):
        return True
    try:
        process = psutil.Process(int(identity.split()[0]))
        # Where the first process of a container waits for no orphans, what was killed stays listed.
        return is_same(identity, process) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
