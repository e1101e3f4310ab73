"""The network and its file."""

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.core import files
from pipeline.core.errors import DataError, ParamsError
from pipeline.core.params import PARAMS
from pipeline.model import archive, outputs
from pipeline.model.params import ModelParams, Precision
from pipeline.model.runtime import keras


def build_network(
    params: ModelParams,
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    batch_norm: Callable[..., keras.Layer] = keras.layers.BatchNormalization,
    precision: Precision = "float32",
) -> keras.Model:
    """Build the network: raw pixels in, a probability for each class out.

    Convolutional blocks, each closed by a 2x2 max pooling, are followed by dense layers. With
    batch norm, it comes between each of these layers and its ReLU. Dropout is applied to what
    dense layers read, but never to raw pixels. Residual blocks are those of He et al., "Deep
    residual learning for image recognition" (CVPR 2016).

    The last layer is the softmax, and the names of layers say whose outputs are shown:
    `outputs.NAMED`.

    Args:
        params: the architecture.
        image_shape: height, width and channels of the images, which are uint8.
        classes: their number.
        batch_norm: Keras's layer, or another that takes its arguments and has its weights.
        precision: in which all layers but the softmax compute; weights are float32.

    Raises:
        ParamsError: the images are too small for it.
        ValueError: its last layer is no softmax, or one that does not compute in float32.
    """
    try:
        with _computing_in(precision):
            network = _connect(params, image_shape, classes, batch_norm)
    except ValueError as error:  # Keras's, of a layer that would leave nothing of them
        height, width, _ = image_shape
        raise ParamsError(
            f"{PARAMS}: model: this network cannot take images of {height}x{width} pixels: "
            f"{_plain(error)}"
        ) from error
    outputs.run(network, keras.Input(image_shape))  # as evaluation will, after training
    return network


@contextmanager
def _computing_in(precision: Precision) -> Iterator[None]:
    """Let the layers that are built in the block have this policy, whichever is set elsewhere."""
    kept = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(kept)


def _connect(
    params: ModelParams,
    image_shape: tuple[int, int, int],
    classes: int,
    batch_norm: Callable[..., keras.Layer],
) -> keras.Model:
    layers = keras.layers
    use_bias = not params.batch_norm  # it would be subtracted again

    def normalize(values: keras.KerasTensor, name: str) -> keras.KerasTensor:
        if not params.batch_norm:
            return values
        return batch_norm(momentum=params.batch_norm_momentum, name=f"{name}_norm")(values)

    def convolve(
        values: keras.KerasTensor, filters: int, size: int, name: str
    ) -> keras.KerasTensor:
        convolution = layers.Conv2D(
            filters, size, padding=params.padding, use_bias=use_bias, name=name
        )
        return normalize(convolution(values), name)

    pixels = keras.Input(image_shape, dtype="uint8", name="pixels")
    values = layers.Rescaling(1 / 255, name="scale")(pixels)
    for block, filter_counts in enumerate(params.conv_blocks, start=1):
        shortcut = values
        for number, filters in enumerate(filter_counts, start=1):
            name = f"conv{block}_{number}"
            values = convolve(values, filters, params.kernel_size, name)
            if params.residual and number == len(filter_counts):
                if shortcut.shape[-1] != filters:
                    shortcut = convolve(shortcut, filters, 1, f"shortcut{block}")
                name = f"add{block}"
                values = layers.Add(name=name)([values, shortcut])
            values = layers.ReLU(name=f"{name}_relu")(values)
        values = layers.MaxPooling2D(2, name=f"pool{block}")(values)
    values = layers.Flatten(name="flatten")(values)
    if params.conv_blocks:
        values = layers.Dropout(params.dropout, name="flatten_dropout")(values)
    for number, units in enumerate(params.dense_units, start=1):
        name = f"dense{number}"
        values = layers.Dense(units, use_bias=use_bias, name=name)(values)
        values = layers.ReLU(name=f"{name}_relu")(normalize(values, name))
        values = layers.Dropout(params.dropout, name=f"{name}_dropout")(values)
    softmax = layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")
    probabilities = softmax(values)
    network = keras.Model(pixels, probabilities, name="classifier")
    if not is_chain(network):
        return network
    return keras.Sequential(network.layers, name="classifier")  # whose file is what it always was


def is_chain(network: keras.Model) -> bool:
    """Tell whether each layer of a functional model reads what the one before it gives, no more."""
    layers = network.layers
    linked = all(after.input is before.output for before, after in pairwise(layers))
    return linked and network.output is layers[-1].output


def write_model(path: Path, model: keras.Model) -> None:
    """Save an uncompiled model: same weights, same bytes.

    Keras writes the time of saving into the metadata and into each entry of the zip archive, and
    addresses in memory into the config, to tell which objects are one and the same; here these
    are at most the policies that say which float type layers use.
    """
    with files.replacing(path) as partial:
        model.save(partial)
        with zipfile.ZipFile(partial) as saved:
            entries = {name: _timeless(name, saved.read(name)) for name in saved.namelist()}
        partial.write_bytes(files.pack(entries))


def read_model(path: Path) -> keras.Model:
    """Load a model in safe mode, which runs no code from the file.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        archive.require_plain(path)
    except FileNotFoundError as error:
        raise _fault(path, "no such file") from error
    except Exception as error:  # zipfile and h5py have many for what a damaged file may hold
        raise _fault(path, f"is damaged ({_one_line(error)})") from error
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # and Keras, for what a config may hold
        raise _fault(path, f"cannot be loaded ({_one_line(error)})") from error


def _fault(path: Path, text: str) -> DataError:
    return DataError(f"{path}: {text}; {files.remedy_for(path)}")


def _plain(error: ValueError) -> str:
    """Return what Keras says is wrong, without its colours and the arguments of the call."""
    text = re.sub(r"\x1b\[\d+m", "", str(error)).partition("Received")[0]
    return " ".join(text.split()).rstrip(".")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _timeless(name: str, content: bytes) -> bytes:
    if name == "metadata.json":
        metadata = json.loads(content)
        del metadata["date_saved"]
        return json.dumps(metadata).encode()
    if name == "config.json":
        return json.dumps(json.loads(content, object_hook=_without_address)).encode()
    return content


def _without_address(config: dict[str, Any]) -> dict[str, Any]:
    config.pop("shared_object_id", None)
    return config
