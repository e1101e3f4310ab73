"""Serve the champion: POST raw pixels to /invocations, get probabilities."""

import argparse
from collections.abc import Sequence

from pipeline.core import stage
from pipeline.core.errors import PipelineError
from pipeline.core.package import command
from pipeline.provenance.params import load_params
from pipeline.serving.app import Limits, build_app, run
from pipeline.serving.listener import HOST, bind
from pipeline.tracking import store
from pipeline.tracking.models import registry
from pipeline.tracking.models.served_model import load_classifier
from pipeline.tracking.store_errors import plain_errors


def serve(name: str, port: int, hosts: Sequence[str], limits: Limits) -> None:
    """Serve the champion of a registered model until the process is told to end.

    Args:
        name: of the registered model.
        port: on 127.0.0.1; 0 takes a free one.
        hosts: names of this server that requests may use.
        limits: of a request.

    Raises:
        PipelineError: there is no champion, the port is not free, or the store fails.
    """
    with bind(port) as listener:
        with plain_errors():
            found = store.find_experiment()
            champion = found and registry.find_champion(found[0], name)
            if not champion:
                raise PipelineError(
                    f"{name} has no champion to serve; `{command('promote')}` makes the "
                    "present state the champion"
                )
            from pipeline.model import runtime  # noqa: F401, or TensorFlow's import fills the screen

            classifier = load_classifier(champion)
        url = f"http://{HOST}:{listener.getsockname()[1]}/invocations"
        print(f"{name} version {champion.version} (champion) answers at {url}", flush=True)
        run(build_app(classifier, hosts, limits), listener)


def main() -> None:
    """Serve the champion of the data set in params.yaml."""
    parser = argparse.ArgumentParser(prog=command("serve"), description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="host name to accept besides 127.0.0.1 and localhost; may be repeated",
    )
    for name, value in Limits()._asdict().items():
        parser.add_argument(
            f"--max-{name}",
            type=type(value),
            default=value,
            metavar="N",
            help=f"most {name} per request (default: {value:g})",
        )
    given = parser.parse_args()
    limits = Limits(given.max_megabytes, given.max_images, given.max_seconds)
    serve(
        registry.name_model(load_params().prepare.dataset), given.port, given.allowed_host, limits
    )


if __name__ == "__main__":
    stage.run(main)
