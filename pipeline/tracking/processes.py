"""Which process is which: numbers are given again, and containers start with the same ones."""

import psutil

SAME_START_SECONDS = 60  # the clock that a start is computed with may be set


def identify_process(process: psutil.Process) -> str:
    """Return the number of a process and when it started, in seconds since 1970."""
    return f"{process.pid} {process.create_time():.0f}"


def is_same(identity: str, process: psutil.Process) -> bool:
    """Tell whether a process is the one of that identity."""
    pid, start = identity.split()
    same_start = abs(process.create_time() - float(start)) < SAME_START_SECONDS
    return process.pid == int(pid) and same_start


def is_running(identity: str) -> bool:
    """Tell whether the process of that identity is there."""
    try:
        process = psutil.Process(int(identity.split()[0]))
        # Where the first process of a container waits for no orphans, what was killed stays listed.
        return is_same(identity, process) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
