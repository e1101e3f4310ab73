"""Record what the command of a DVC stage opens, modules included; Python runs this where it starts.

Only where `TRACE_FOLDER` names a folder: each process writes one JSON file there when it ends.
What libraries open without Python's help, such as SQLite, is not seen.
"""

import atexit
import json
import os
import sys
from pathlib import Path
from typing import Any

# Of the repository, relative paths; those read come with the source files of the repository that
# took part, as far as the thread's stack shows them.
reads: set[tuple[str, tuple[str, ...]]] = set()
writes: set[str] = set()
connections: set[str] = set()  # addresses that are asked for or connected to


def relative(path: Any) -> str | None:  # noqa: ANN401
    """Return a path relative to the repository, None for one outside or a file descriptor."""
    if isinstance(path, int):
        return None
    full = os.path.abspath(os.fsdecode(path))  # noqa: PTH100
    return full.removeprefix(ROOT) if full.startswith(ROOT) else None


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what an audit event says about files."""
    if event == "open" and (path := relative(arguments[0])) is not None:
        _, mode, flags = arguments
        if set(mode or "") & set("wax+") or flags & (os.O_WRONLY | os.O_RDWR):
            writes.add(path)
        elif path not in writes and os.path.isfile(ROOT + path):  # noqa: PTH113
            reads.add((path, readers()))
    elif event == "os.rename" and (old := relative(arguments[0])) in writes:
        writes.discard(str(old))
        writes.update(filter(None, [relative(arguments[1])]))
    elif event in ("socket.connect", "socket.getaddrinfo"):
        connections.add(str(arguments))
    elif event == "os.remove" and (path := relative(arguments[0])) is not None:
        writes.discard(path)


def readers() -> tuple[str, ...]:
    """Return the source files of the repository on the stack."""
    files, frame = set(), sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        if not frame.f_code.co_filename.startswith("<"):
            files.add(relative(frame.f_code.co_filename))
    return tuple(sorted(filter(None, files)))


def write_trace() -> None:
    """Write what was noted."""
    trace = {
        "stage": os.environ["DVC_STAGE"],
        "reads": sorted(reads),
        "writes": sorted(writes),
        "connections": sorted(connections),
    }
    Path(os.environ["TRACE_FOLDER"], f"{os.getpid()}.json").write_text(json.dumps(trace))


if "TRACE_FOLDER" in os.environ and "DVC_STAGE" in os.environ:
    ROOT = os.path.join(os.path.realpath(os.environ["DVC_ROOT"]), "")  # noqa: PTH118
    atexit.register(write_trace)
    sys.addaudithook(note)
