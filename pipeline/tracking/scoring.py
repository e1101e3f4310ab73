"""MLflow's scoring server, for one model."""

import gc
import socket

import numpy as np
import uvicorn
from mlflow import pyfunc
from mlflow.pyfunc import scoring_server


class ScoringServer:
    """A model that has been loaded, behind MLflow's scoring server."""

    def __init__(self, uri: str) -> None:
        """Load the model, such as `models:/mnist@champion`."""
        model = pyfunc.load_model(uri)
        # Else MLflow would fit what comes to the signature, in silence, before the model checks it.
        model.metadata.signature = None
        np.set_printoptions(threshold=1, edgeitems=1)  # MLflow's messages quote what was sent
        self._app = scoring_server.init(model)
        # Parsing makes a list of each pixel and so triggers many collections, each of which
        # would go through all of TensorFlow: four fifths of the time for 100 images.
        gc.collect()
        gc.freeze()

    def run(self, listener: socket.socket) -> None:
        """Answer requests until the process is told to end."""
        uvicorn.Server(uvicorn.Config(self._app, log_level="warning")).run(sockets=[listener])
