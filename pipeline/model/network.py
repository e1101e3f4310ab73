"""The network and its file."""

import json
import zipfile
from pathlib import Path
from typing import Any

from pipeline.core import files
from pipeline.core.errors import DataError
from pipeline.model.params import ModelParams
from pipeline.model.runtime import keras

# Keras's 0.99 takes hundreds of batches to forget how the statistics began; 2,000 images in batches
# of 64 are 32 an epoch.
BATCH_NORM_MOMENTUM = 0.9


def build_network(
    params: ModelParams,
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    synchronized: bool = False,
) -> keras.Model:
    """Build the network: raw pixels in, a probability for each class out.

    Convolutional blocks, each closed by a 2x2 max pooling, are followed by dense layers. With
    batch norm, it comes between each of these layers and its ReLU. Dropout is applied to what
    dense layers read, but never to raw pixels.

    Args:
        params: the architecture.
        image_shape: height, width and channels of the images, which are uint8.
        classes: their number.
        synchronized: whether batch norm takes the statistics of all replicas together; the
            weights are the same.
    """
    layers = keras.layers
    stack = [
        keras.Input(image_shape, dtype="uint8", name="pixels"),
        layers.Rescaling(1 / 255, name="scale"),
    ]

    def add_rectified(layer: keras.Layer) -> None:
        stack.append(layer)
        if params.batch_norm:
            norm = layers.BatchNormalization(
                momentum=BATCH_NORM_MOMENTUM,
                synchronized=synchronized,
                name=f"{layer.name}_norm",
            )
            stack.append(norm)
        stack.append(layers.ReLU(name=f"{layer.name}_relu"))

    # A bias before batch norm would be subtracted again.
    use_bias = not params.batch_norm
    for block, filter_counts in enumerate(params.conv_blocks, start=1):
        for number, filters in enumerate(filter_counts, start=1):
            name = f"conv{block}_{number}"
            add_rectified(layers.Conv2D(filters, params.kernel_size, use_bias=use_bias, name=name))
        stack.append(layers.MaxPooling2D(2, name=f"pool{block}"))
    stack.append(layers.Flatten(name="flatten"))
    if params.conv_blocks:
        stack.append(layers.Dropout(params.dropout, name="flatten_dropout"))
    for number, units in enumerate(params.dense_units, start=1):
        add_rectified(layers.Dense(units, use_bias=use_bias, name=f"dense{number}"))
        stack.append(layers.Dropout(params.dropout, name=f"dense{number}_dropout"))
    stack.append(layers.Dense(classes, activation="softmax", name="probabilities"))
    return keras.Sequential(stack, name="classifier")


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
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; {files.REMEDY}") from error
    except Exception as error:  # zipfile has many for what a damaged directory may hold
        raise DataError(f"{path}: is damaged ({_one_line(error)}); {files.REMEDY}") from error
    if damaged:
        raise DataError(f"{path}: is damaged, {damaged} in it has another checksum; {files.REMEDY}")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # and Keras, for what a config may hold
        raise DataError(f"{path}: cannot be loaded ({_one_line(error)}); {files.REMEDY}") from error


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
