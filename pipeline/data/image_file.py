"""Read an image file as grey levels or as red, green and blue."""

import math
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.core.arrays import ByteArray
from pipeline.core.errors import DataError
from pipeline.data.raw_data import resize

PNG = b"\x89PNG\r\n\x1a\n"
FORMATS = ("PNG", "JPEG")
IHDR, PNG_DEPTH = 16, 24  # where a PNG file has its size, and its bits per channel
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the type of a PNG's colours
# The passes of interlaced ones: where each starts, and its steps, across and down.
ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
PLAIN = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGB": "RGB", "RGBA": "RGB"}


def read_image(file: Path, size: tuple[int, int] | None) -> ByteArray:
    """Return an image (height, width, channels), uint8, upright as its camera says.

    Black and white becomes grey, a palette becomes grey or colour, as its colours are, and an alpha
    channel that hides nothing is dropped. What would lose something is refused: transparency,
    16 bits per channel, printing colours, and animations.

    Args:
        file: a PNG or JPEG file.
        size: height and width to resize it to; None: it stays as it is.

    Raises:
        DataError: it is damaged, or not of a kind that can be used.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    return decode_image(content, str(file), size)


def decode_image(content: bytes, name: str, size: tuple[int, int] | None) -> ByteArray:
    """Return the image that a file holds, as `read_image` does.

    Args:
        content: of the file.
        name: by which messages call it.
        size: height and width to resize it to; None: it stays as it is.

    Raises:
        DataError: it is damaged, or not of a kind that can be used.
    """
    if content.startswith(PNG) and content[PNG_DEPTH : PNG_DEPTH + 1] == b"\x10":
        raise DataError(f"{name}: has 16 bits per channel; save it with 8")
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as opened:
            opened.verify()  # the checksums of a PNG, which decoding does not look at
        with Image.open(BytesIO(content), formats=FORMATS) as opened:
            # Cameras keep previews and other views of the first picture in a JPEG file.
            frames = 1 if opened.format == "MPO" else getattr(opened, "n_frames", 1)
            picture = ImageOps.exif_transpose(opened)
            picture.load()
        if content.startswith(PNG):
            _require_rows(content)
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: is not a PNG or JPEG image, or its start is damaged") from error
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{name}: has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; make it smaller"
        ) from error
    except Exception as error:  # Pillow has many for what a damaged file may hold
        raise DataError(f"{name}: is damaged ({error}); get it again or remove it") from error
    if frames > 1:
        raise DataError(f"{name}: is an animation of {frames} images; save one of them")
    if picture.mode not in PLAIN:
        raise DataError(f"{name}: has colours of the kind {picture.mode}; save it as RGB")
    plain = _make_plain(name, picture)
    array: ByteArray = np.asarray(resize(plain, size) if size else plain)
    return array.reshape(*array.shape[:2], -1)


def _require_rows(png: bytes) -> None:
    """Check that a PNG has all its pixels; Pillow leaves those black that are missing.

    Raises:
        ValueError: it has fewer.
    """
    width, height, depth, kind, *_, interlaced = struct.unpack_from(">IIBBBBB", png, IHDR)
    bits = depth * CHANNELS[kind]
    # Each row begins with a byte that names its filter; PNG specification, 7.2 and 8.
    size = sum(
        rows * (1 + math.ceil(columns * bits / 8))
        for x, y, dx, dy in (ADAM7 if interlaced else ((0, 0, 1, 1),))
        if (rows := math.ceil((height - y) / dy)) > 0
        and (columns := math.ceil((width - x) / dx)) > 0
    )
    unpacked, place = zlib.decompressobj(), len(PNG)
    while size > 0 and place < len(png):
        length, name = struct.unpack_from(">I4s", png, place)
        if name == b"IDAT":
            size -= len(unpacked.decompress(png[place + 8 : place + 8 + length], size))
        place += 12 + length
    if size > 0:
        raise ValueError("its last rows are missing")


def _make_plain(name: str, picture: Image.Image) -> Image.Image:
    """Convert an image to mode L or RGB without loss."""
    if picture.has_transparency_data and min(picture.convert("RGBA").tobytes()[3::4]) < 255:
        raise DataError(f"{name}: is transparent in places; save it on a background, without alpha")
    plain = picture.convert(PLAIN[picture.mode])
    if picture.mode in ("P", "PA"):
        red, green, blue = plain.split()
        if red.tobytes() == green.tobytes() == blue.tobytes():
            return red
    return plain
