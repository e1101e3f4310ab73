"""What a model makes of one image, as what the page shows."""

from typing import NamedTuple

from scipy.special import softmax

from pipeline.core.arrays import ByteArray, FloatArray
from pipeline.evaluation import attribution
from pipeline.explore import rendering
from pipeline.model.runtime import keras

STEPS, TOLERANCE = 8, 0.05  # coarser than what is kept, for an answer while one draws


class View(NamedTuple):
    """What is shown of an answer: URLs of pictures, and the probability of each class."""

    image: str
    layers: dict[str, str]
    probabilities: FloatArray


def look(model: keras.Model, image: ByteArray) -> View:
    """Ask a model about an image (height, width, channels), uint8."""
    shown = rendering.url(rendering.to_picture(image))
    height, width, _ = image.shape
    layers = {f"input\n{height}x{width}": shown}
    for name, maps in attribution.layer_outputs(model, image[None]).items():
        _, height, width, filters = maps.shape
        layers[f"{name}\n{filters} maps, {height}x{width}"] = rendering.url(rendering.tile(maps[0]))
    return View(shown, layers, softmax(attribution.scores(model, image[None])[0]))


def explain(model: keras.Model, image: ByteArray, label: int) -> str:
    """Return the URL of a picture of what in the image speaks for a class, and against it."""
    ((attributed,),) = attribution.integrated_gradients(
        model, image[None], [[label]], STEPS, TOLERANCE
    )
    return rendering.url(rendering.overlay(image, attributed.sum(axis=-1)))
