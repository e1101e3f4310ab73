"""Serve the champion: POST raw pixels to /invocations, get probabilities."""

import argparse
import socket

from pipeline.core import stage
from pipeline.core.errors import PipelineError
from pipeline.provenance.params import load_params
from pipeline.tracking import registry, store

HOST = "127.0.0.1"  # only this machine: the server knows no passwords


def serve(name: str, port: int) -> None:
    """Serve the champion of the data set `name` until the process is told to end.

    Args:
        name: of the data set, and so of the registered model.
        port: on 127.0.0.1; 0 takes a free one.

    Raises:
        PipelineError: there is no champion, the port is not free, or the store fails.
    """
    with bind(port) as listener:
        with store.plain_errors():
            client, _ = store.open_store()
            champion = registry.find_champion(client, name)
            if not champion:
                raise PipelineError(
                    f"{name} has no champion to serve; `python -m pipeline.promote` makes the "
                    "present state the champion"
                )
            from pipeline.model import runtime  # noqa: F401, or TensorFlow's import fills the screen
            from pipeline.tracking.scoring import ScoringServer

            server = ScoringServer(f"models:/{name}/{champion.version}")
        url = f"http://{HOST}:{listener.getsockname()[1]}/invocations"
        print(f"{name} version {champion.version} (champion) answers at {url}", flush=True)
        server.run(listener)


def bind(port: int) -> socket.socket:
    """Return a socket that listens at the port, so that a port in use is told at once.

    Raises:
        PipelineError: it cannot be used.
    """
    # Only of sockets that name TCP does asyncio see that small answers go out at once: else 40 ms.
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


def main() -> None:
    """Serve the champion of the data set in params.yaml."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.serve", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    serve(load_params().prepare.dataset, parser.parse_args().port)


if __name__ == "__main__":
    stage.run(main)
