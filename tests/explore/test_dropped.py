"""An image file of a visitor's becomes like those of the data set."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import DataError
from pipeline.explore.dropped import fit_image


def file_of(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "png")
    return content.getvalue()


def test_file_is_resized_to_height_and_width() -> None:
    image = fit_image(file_of(Image.new("L", (40, 20), 7)), "a.png", (8, 16, 1))
    assert image.shape == (8, 16, 1)
    assert (image == 7).all()


def test_grey_becomes_colour_and_colour_grey() -> None:
    grey = fit_image(file_of(Image.new("L", (4, 4), 9)), "a.png", (4, 4, 3))
    assert grey.tolist() == np.full((4, 4, 3), 9).tolist()
    red = fit_image(file_of(Image.new("RGB", (4, 4), (255, 0, 0))), "a.png", (4, 4, 1))
    assert red.tolist() == np.full((4, 4, 1), 76).tolist()  # ITU-R 601-2: 299/1000 of 255


def test_file_that_is_no_image_is_named_as_the_visitor_knows_it() -> None:
    with pytest.raises(DataError, match=r"^notes\.png: is not a PNG or JPEG image"):
        fit_image(b"text", "notes.png", (4, 4, 1))
