"""Serve the champion: POST raw pixels to /invocations, get probabilities."""

import argparse

from pipeline.core import stage
from pipeline.core.errors import PipelineError
from pipeline.core.package import command
from pipeline.provenance.params import load_params
from pipeline.tracking import registry, store
from pipeline.tracking.scoring import HOST, ScoringServer, bind


def serve(name: str, port: int) -> None:
    """Serve the champion of a registered model until the process is told to end.

    Args:
        name: of the registered model.
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
                    f"{name} has no champion to serve; `{command('promote')}` makes the "
                    "present state the champion"
                )
            from pipeline.model import runtime  # noqa: F401, or TensorFlow's import fills the screen

            server = ScoringServer(f"models:/{name}/{champion.version}")
        url = f"http://{HOST}:{listener.getsockname()[1]}/invocations"
        print(f"{name} version {champion.version} (champion) answers at {url}", flush=True)
        server.run(listener)


def main() -> None:
    """Serve the champion of the data set in params.yaml."""
    parser = argparse.ArgumentParser(prog=command("serve"), description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    port = parser.parse_args().port
    serve(registry.name_model(load_params().prepare.dataset), port)


if __name__ == "__main__":
    stage.run(main)
