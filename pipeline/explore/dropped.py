"""An image file of the visitor's, as one that the network was trained on."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from nicegui import ui
from nicegui.events import UploadEventArguments
from PIL import Image

from pipeline.core.arrays import ByteArray
from pipeline.core.errors import DataError
from pipeline.data.image_file import decode_image

MOST_BYTES = 20_000_000


class DropZone:
    """Takes a PNG or JPEG file that is dropped on it, or chosen after a click."""

    def __init__(
        self, shape: tuple[int, int, int], on_drop: Callable[[ByteArray, str], Awaitable[None]]
    ) -> None:
        """Put it on the page.

        Args:
            shape: height, width and channels of the images of the network.
            on_drop: is called with each image, made to be like these, and the name of its file.
        """
        self._shape, self._on_drop = shape, on_drop
        self._upload = ui.upload(
            label="Drop an image here",
            on_upload=self._take,
            on_rejected=lambda: ui.notify("It takes one PNG or JPEG file of at most 20 MB."),
            auto_upload=True,
            max_file_size=MOST_BYTES,
        )
        self._upload.props('accept=".png,.jpg,.jpeg" flat bordered').classes("drop w-full")

    async def _take(self, event: UploadEventArguments) -> None:
        name = Path(event.file.name).name
        try:
            image = fit_image(await event.file.read(), name, self._shape)
        except DataError as error:
            ui.notify(str(error))
        else:
            await self._on_drop(image, name)
        self._upload.reset()


def fit_image(content: bytes, name: str, shape: tuple[int, int, int]) -> ByteArray:
    """Return what a file holds, resized, and in grey or colour as the network has it.

    Args:
        content: of a PNG or JPEG file.
        name: by which messages call it.
        shape: height, width and channels to make.

    Raises:
        DataError: it cannot be used.
    """
    height, width, channels = shape
    image = decode_image(content, name, (height, width))
    if image.shape[2] == channels:
        return image
    if channels == 1:
        return np.asarray(Image.fromarray(image).convert("L"))[:, :, None]
    return np.repeat(image, channels, axis=2)
