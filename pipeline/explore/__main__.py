"""Open a page to draw a digit and see what the network makes of it: `make explore`."""

import argparse
from importlib.util import find_spec

from pipeline.core import stage
from pipeline.core.errors import PipelineError
from pipeline.core.package import command
from pipeline.provenance.params import load_params
from pipeline.serving.listener import bind


def main() -> None:
    """Load what the page works with, and serve it until the process is told to end."""
    parser = argparse.ArgumentParser(prog=command("explore"), description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (default: 8080)")
    port = parser.parse_args().port
    params = load_params()
    if not find_spec("nicegui"):
        raise PipelineError("the page needs NiceGUI: `make venv-explore` installs it")
    with bind(port) as listener:
        from pipeline.explore import material, server
        from pipeline.model import runtime

        runtime.configure(params.train.threads)
        server.serve(material.load(params.prepare.dataset), listener)


if __name__ == "__main__":
    stage.run(main)
