"""What a network computes on its way, whatever it is built of: the maps it names, and logits."""

import re
from functools import partial
from typing import NamedTuple

from pipeline.model.runtime import keras, tf

# A layer that is named so has maps to show, by the name without the ending.
NAMED = re.compile(r"(?P<stem>.+)_(relu|maps)|pool.*")


class Outputs(NamedTuple):
    """What the layers of a network make of pixels.

    Attributes:
        layers: all of them in the order of their calls, those of nested models in their place.
        maps: each (N, h, w, filters), by names such as conv1_1 and pool1; in a nested model, its
            name comes first: block1/conv1_1.
        read: what the softmax layer reads, (N, ...).
    """

    layers: list[keras.Layer]
    maps: dict[str, tf.Tensor]
    read: tf.Tensor

    def logits(self) -> tf.Tensor:
        """Return the scores of classes before the softmax, (N, classes), float32."""
        softmax = self.layers[-1]
        if not hasattr(softmax, "kernel"):
            return self.read
        scores = self.read @ softmax.kernel
        return scores if softmax.bias is None else scores + softmax.bias


def run(model: keras.Model, pixels: tf.Tensor) -> Outputs:
    """Run a network layer by layer.

    Args:
        model: sequential or functional, from raw pixels to the softmax of its last layer: a dense
            one with this activation, or one of its own. Other such models may be its layers.
        pixels: (N, height, width, channels), or Keras's stand-in for them. Fractions of a byte,
            which the model itself would round off, count.

    Raises:
        ValueError: the last layer is another one, or does not compute in float32.
    """
    _require_softmax(model)
    layers: list[keras.Layer] = []
    maps: dict[str, tf.Tensor] = {}
    read = pixels

    def call(layer: keras.Layer, *given: tf.Tensor, path: str = "", **options: object) -> tf.Tensor:
        nonlocal read
        if isinstance(layer, keras.Model):
            return follow(layer, given[0], f"{path}{layer.name}/")
        read, made = given[0], layer(*given, **options)
        layers.append(layer)
        if (named := NAMED.fullmatch(layer.name)) and len(made.shape) == 4:
            maps[f"{path}{named['stem'] or layer.name}"] = made
        return made

    def follow(model: keras.Model, values: tf.Tensor, path: str = "") -> tf.Tensor:
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                values = call(layer, values, path=path)
            return values
        # Keras has no public way to see what the layers of a graph are given.
        return model._run_through_graph(values, lambda layer: partial(call, layer, path=path))

    follow(model, pixels)
    return Outputs(layers, maps, read)


def _require_softmax(model: keras.Model) -> None:
    layer = model.layers[-1]
    is_softmax = isinstance(layer, keras.layers.Softmax) or (
        isinstance(layer, keras.layers.Dense | keras.layers.Activation)
        and layer.activation is keras.activations.softmax
    )
    if not is_softmax:
        raise ValueError(
            f"{model.name}: its last layer, {layer.name}, must be a softmax: Dense with this "
            "activation, Softmax or Activation"
        )
    if layer.compute_dtype != "float32":
        raise ValueError(f'{model.name}: its last layer, {layer.name}, must have dtype="float32"')
