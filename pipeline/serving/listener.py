"""The port that a server of this machine listens at."""

import socket

from pipeline.core.errors import PipelineError

HOST = "127.0.0.1"  # only this machine: the servers know no passwords
LOOPBACK = ("127.0.0.1", "localhost")


def bind(port: int) -> socket.socket:
    """Return a socket that listens at the port, so that a port in use is told at once.

    Raises:
        PipelineError: it cannot be used.
    """
    # Only on sockets that name TCP does asyncio send small answers at once, and not 40 ms later.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or "there is no such port"
        raise PipelineError(f"--port: {HOST}:{port}: {reason}; name another one") from error
    return listener
