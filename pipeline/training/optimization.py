"""What training lowers, and how: the loss and the optimizer."""

from collections.abc import Callable

from pipeline.model.runtime import keras, tf
from pipeline.training.params import TrainParams

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def build_loss(label_smoothing: float) -> Loss:
    """Return the cross-entropies (B,) of labels (B,) and probabilities (B, classes).

    With label smoothing, the target is 1 - `label_smoothing` for the label, and the rest is spread
    evenly over all classes: Szegedy et al., "Rethinking the Inception architecture for computer
    vision" (CVPR 2016), section 7. Keras has it for one-hot labels only.
    """
    if label_smoothing == 0:
        return keras.losses.sparse_categorical_crossentropy  # type: ignore[no-any-return]

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
    settings = {"weight_decay": params.weight_decay} if params.optimizer == "adamw" else {}
    return type(keras.optimizers.get(params.optimizer))(rate, **settings)
