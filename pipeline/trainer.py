"""Fit the network to the training images, and watch it on the validation images."""

import math
import sys
from collections.abc import Callable

import pandas as pd

from pipeline import network, runtime
from pipeline.arrays import Split
from pipeline.augmentation import RandomAffine
from pipeline.errors import PipelineError
from pipeline.params import Params, TrainParams
from pipeline.runtime import keras, tf

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}
EpochEnd = Callable[[int, dict[str, float]], None]


def train_network(
    train: Split, val: Split, classes: int, params: Params, on_epoch_end: EpochEnd
) -> tuple[keras.Model, pd.DataFrame]:
    """Train a new network.

    Args:
        train: images (N, height, width, channels), uint8, and labels (N,).
        val: likewise, for the validation after each epoch.
        classes: their number.
        params: of the network and of its training.
        on_epoch_end: is given each epoch, from 1, with its loss, accuracy, val_loss and
            val_accuracy. Augmentation and dropout make loss and accuracy worse than those of
            the plain images; label smoothing raises loss and val_loss.

    Returns:
        The network, without the optimizer, and one row per epoch with these four and the epoch.

    Raises:
        PipelineError: a loss is not finite, which no later epoch can mend.
    """
    keras.utils.set_random_seed(params.train.seed)
    image_shape = train.images.shape[1:]
    model = network.build_network(params.model, image_shape, classes)
    steps = params.train.epochs * math.ceil(len(train.labels) / params.train.batch_size)
    fitted = model
    if any(params.augmentation.model_dump().values()):
        augmentation = RandomAffine(params.augmentation, params.train.seed)
        fitted = keras.Sequential([keras.Input(image_shape, dtype="uint8"), augmentation, model])
    fitted.compile(
        optimizer=build_optimizer(params.train, steps),
        loss=build_loss(params.train.label_smoothing),
        metrics=["accuracy"],
    )
    history = fitted.fit(
        runtime.batches(train, params.train.batch_size, shuffle_seed=params.train.seed),
        validation_data=runtime.batches(val, runtime.EVALUATION_BATCH_SIZE),
        epochs=params.train.epochs,
        shuffle=False,  # the batches are shuffled
        verbose=1 if sys.stdout.isatty() else 0,
        callbacks=_build_callbacks(params.train, on_epoch_end),
    )
    trained = network.build_network(params.model, image_shape, classes)
    trained.set_weights(model.get_weights())
    rows = pd.DataFrame(history.history, columns=["loss", "accuracy", "val_loss", "val_accuracy"])
    rows.insert(0, "epoch", range(1, len(rows) + 1))
    return trained, rows


def build_loss(label_smoothing: float) -> str | Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return the cross-entropy of labels (B,) and probabilities (B, classes).

    With label smoothing, the target is 1 - `label_smoothing` for the label, and the rest is spread
    evenly over all classes: Szegedy et al., "Rethinking the Inception architecture for computer
    vision" (CVPR 2016), section 7. Keras has it for one-hot labels only.
    """
    if label_smoothing == 0:
        return "sparse_categorical_crossentropy"

    def smoothed_crossentropy(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
        one_hot = keras.ops.one_hot(labels, probabilities.shape[-1])
        return keras.losses.categorical_crossentropy(
            one_hot, probabilities, label_smoothing=label_smoothing
        )

    return smoothed_crossentropy


def build_optimizer(params: TrainParams, steps: int) -> keras.Optimizer:
    """Build the optimizer, whose learning rate falls to 0 over `steps` batches if it is cosine."""
    rate = params.learning_rate
    if params.learning_rate_schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(params.learning_rate, steps)
    return OPTIMIZERS[params.optimizer](rate)


def _build_callbacks(params: TrainParams, on_epoch_end: EpochEnd) -> list[keras.callbacks.Callback]:
    def end_epoch(index: int, logs: dict[str, float]) -> None:
        epoch = index + 1
        if not sys.stdout.isatty():
            measures = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
            print(f"Epoch {epoch}/{params.epochs}: {measures}", flush=True)
        for name, value in logs.items():
            if not math.isfinite(value):
                raise PipelineError(
                    f"{name} is {value} in epoch {epoch}: lower train.learning_rate in params.yaml"
                )
        on_epoch_end(epoch, logs)

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=end_epoch)]
    if params.early_stopping_patience is not None:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor="val_loss",
                patience=params.early_stopping_patience,
                restore_best_weights=True,
            )
        )
    return callbacks
