"""Fit the network to the training images, and watch it on the validation images."""

import math
from collections.abc import Callable

import pandas as pd

from pipeline.core.arrays import Split
from pipeline.core.errors import PipelineError
from pipeline.model import network
from pipeline.model.runtime import keras, tf
from pipeline.training import history, replicas
from pipeline.training.augmentation import RandomAffine
from pipeline.training.batch_norm import choose_batch_norm
from pipeline.training.checkpoint import Arrays
from pipeline.training.epoch_loop import EpochLoop
from pipeline.training.optimization import build_loss, build_optimizer
from pipeline.training.params import TrainingParams

EpochEnd = Callable[[int, dict[str, float]], None]


def train_network(
    train: Split,
    val: Split,
    classes: int,
    params: TrainingParams,
    on_epoch_end: EpochEnd,
    saved: Arrays | None = None,
    on_start: Callable[[], None] = lambda: None,
    save: Callable[[Arrays], None] = lambda _: None,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train a new network, or resume an interrupted run.

    All workers call this with the same arguments, and come to the same state.

    Args:
        train: images (N, height, width, channels), uint8, and labels (N,).
        val: likewise, for the validation after each epoch.
        classes: their number.
        params: of the network and of its training.
        on_epoch_end: is given each epoch, from 1, with its loss, accuracy, val_loss and
            val_accuracy. Augmentation and dropout make loss and accuracy worse than those of
            the plain images; label smoothing raises loss and val_loss.
        saved: what `save` was given last.
        on_start: is called once the network is built.
        save: is given after each epoch all that is needed to resume.

    Returns:
        The network, without the optimizer, and one row per epoch with these four and the epoch.

    Raises:
        ParamsError: the network does not fit the images.
        PipelineError: a loss is not finite, which no later epoch can fix.
    """
    patience = params.train.early_stopping_patience
    strategy = replicas.make_strategy(params.train.workers)
    loop = _build_loop(strategy, train, classes, params)
    on_start()
    state = saved or _begin(loop, params)
    loop.restore(state)
    while not history.is_over(state["history"], patience):
        epoch = len(history.measured(state["history"])) + 1
        values = (*loop.train(train, epoch), *loop.validate(val))
        measures = dict(zip(history.MEASURES, values, strict=True))
        _require_finite(measures, epoch)
        state["history"][epoch - 1] = values
        state |= loop.state()
        if patience is not None and history.best_epoch(state["history"]) == epoch:
            state |= _best(state)
        save(state)
        on_epoch_end(epoch, measures)
    return build_trained(state, train.images.shape[1:], classes, params)


def build_trained(
    state: Arrays, image_shape: tuple[int, int, int], classes: int, params: TrainingParams
) -> tuple[keras.Model, pd.DataFrame]:
    """Return the network of a state, and what was measured on the way, as `train_network` does.

    Args:
        state: after the last epoch.
        image_shape: (height, width, channels).
        classes: their number.
        params: of the network and of its training.
    """
    trained = network.build_network(params.model, image_shape, classes)
    kind = "weights" if params.train.early_stopping_patience is None else "best"
    trained.set_weights([state[f"{kind}/{place}"] for place in range(len(trained.weights))])
    rows = pd.DataFrame(history.measured(state["history"]), columns=history.MEASURES)
    rows.insert(0, "epoch", range(1, len(rows) + 1))
    return trained, rows


def _build_loop(
    strategy: tf.distribute.Strategy, train: Split, classes: int, params: TrainingParams
) -> EpochLoop:
    keras.utils.set_random_seed(params.train.seed)
    batch_size = params.train.batch_size
    with strategy.scope():
        built = network.build_network(
            params.model,
            train.images.shape[1:],
            classes,
            batch_norm=choose_batch_norm(strategy),
            precision=params.train.precision,
        )
        augment = None
        if any(params.augmentation.model_dump().values()):
            augment = RandomAffine(params.augmentation, params.train.seed)
        steps = params.train.epochs * math.ceil(len(train.labels) / batch_size)
        optimizer = build_optimizer(params.train, steps)
    loss = build_loss(params.train.label_smoothing)
    return EpochLoop(strategy, built, augment, optimizer, loss, batch_size, params.train.seed)


def _begin(loop: EpochLoop, params: TrainingParams) -> Arrays:
    state = loop.state() | {"history": history.begin(params.train.epochs)}
    return state if params.train.early_stopping_patience is None else state | _best(state)


def _best(state: Arrays) -> Arrays:
    """Return the weights that are restored in the end, if none that follow are better."""
    names = [name for name in state if name.startswith("weights/")]
    return {name.replace("weights", "best"): state[name] for name in names}


def _require_finite(measures: dict[str, float], epoch: int) -> None:
    for name, value in measures.items():
        if not math.isfinite(value):
            raise PipelineError(
                f"{name} is {value} in epoch {epoch}: lower train.learning_rate in params.yaml"
            )
