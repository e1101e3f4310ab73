"""The server of the page: it is for this machine only, and fetches nothing from others."""

import socket

import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from nicegui import core, ui

from pipeline.explore.material import Material
from pipeline.explore.page import TITLE, Page
from pipeline.explore.views import explain, look
from pipeline.serving.listener import LOOPBACK


def serve(material: Material, listener: socket.socket) -> None:
    """Serve the page until the process is told to end."""
    for model in material.models.values():
        # TensorFlow makes its graphs now, not at the first stroke.
        blank = np.zeros(model.input_shape[1:], np.uint8)
        look(model, blank)
        explain(model, blank, 0)
    app = FastAPI(openapi_url=None)  # and so without documentation, which would load from a CDN
    # Otherwise a website could have its own name resolve to this address, and read along.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK])
    host, port = listener.getsockname()
    # Nor may one talk to it from the visitor's browser; NiceGUI would let all.
    core.sio.eio.cors_allowed_origins = [f"http://{name}:{port}" for name in LOOPBACK]

    @ui.page("/")
    def _show_page() -> None:
        Page(material)

    ui.run_with(app, title=TITLE, favicon="👁", show_welcome_message=False)
    print(f"Open http://{host}:{port} in a browser; Ctrl-C ends it.", flush=True)
    # An open page would keep the server from ending.
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])
