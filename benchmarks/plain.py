"""The lesson as a plain script: fit, evaluate on the test images, save one figure, nothing else.

    python -m benchmarks.plain [--seed SEED] [--no-stall]

The last line is a JSON object with what was measured. With `--no-stall`, Keras is given data
sets without autotuning where the lesson gives it arrays; see README.md here.
"""

import argparse
import gzip
import json
import time
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import tensorflow as tf

DATA = Path("data/raw/mnist")


def read_images(name: str, count: int, start: int = 0) -> npt.NDArray[np.float32]:
    """Return images from `start` on, (count, 28, 28, 1), pixels from 0 to 1."""
    with gzip.open(DATA / f"{name}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16)
    images = pixels.reshape(-1, 28, 28, 1)[start : start + count]
    return images.astype(np.float32) / np.float32(255)


def read_labels(name: str, count: int, start: int = 0) -> npt.NDArray[np.uint8]:
    """Return labels from `start` on, (count,), from 0 to 9."""
    with gzip.open(DATA / f"{name}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return labels[start : start + count]


def build_network() -> keras.Model:
    """Return the lesson's network, compiled; it has 2,076,554 weights."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.Conv2D(128, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def untuned(
    images: npt.NDArray[np.float32],
    labels: npt.NDArray[np.uint8],
    batch_size: int,
    shuffle: bool = False,
) -> tf.data.Dataset:
    """Return the arrays as a data set of batches whose autotuner is off."""
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    if shuffle:
        dataset = dataset.shuffle(len(images))
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.batch(batch_size).with_options(options)


def main() -> None:
    """Do the lesson, and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-stall", action="store_true")
    parser.add_argument("--train-samples", type=int, default=2000)
    parser.add_argument("--val-samples", type=int, default=500)
    parser.add_argument("--test-samples", type=int, default=10000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--figure", type=Path, default=Path("curves.png"))
    args = parser.parse_args()

    keras.utils.set_random_seed(args.seed)
    train_images = read_images("train", args.train_samples)
    train_labels = read_labels("train", args.train_samples)
    val_images = read_images("train", args.val_samples, start=args.train_samples)
    val_labels = read_labels("train", args.val_samples, start=args.train_samples)
    test_images = read_images("t10k", args.test_samples)
    test_labels = read_labels("t10k", args.test_samples)

    model = build_network()
    start = time.perf_counter()
    if args.no_stall:
        history = model.fit(
            untuned(train_images, train_labels, 64, shuffle=True),
            validation_data=untuned(val_images, val_labels, 64),
            epochs=args.epochs,
        )
    else:
        history = model.fit(
            train_images,
            train_labels,
            validation_data=(val_images, val_labels),
            epochs=args.epochs,
            batch_size=64,
        )
    fitted = time.perf_counter()
    if args.no_stall:
        loss, accuracy = model.evaluate(untuned(test_images, test_labels, 32))
    else:
        loss, accuracy = model.evaluate(test_images, test_labels)
    evaluated = time.perf_counter()

    _, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for axes, name in ((left, "loss"), (right, "accuracy")):
        axes.plot(history.history[name], label="training")
        axes.plot(history.history[f"val_{name}"], label="validation")
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.legend()
    plt.savefig(args.figure)

    measured = {
        "fit_seconds": fitted - start,
        "images_per_second": args.train_samples * args.epochs / (fitted - start),
        "evaluate_seconds": evaluated - fitted,
        "loss": loss,
        "accuracy": accuracy,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
