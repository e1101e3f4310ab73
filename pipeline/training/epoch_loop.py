"""The steps of an epoch: of training, and of validation."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from pipeline.core.arrays import Split
from pipeline.model.runtime import EVALUATION_BATCH_SIZE, keras, tf
from pipeline.training import replicas
from pipeline.training.checkpoint import Arrays
from pipeline.training.optimization import Loss


class EpochLoop:
    """A network and its optimizer, on each replica of a strategy.

    What it draws at random, and the order of images, follow from the seed and the epoch alone: so
    training can begin with any epoch.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        network: keras.Model,
        augment: keras.Layer | None,
        optimizer: keras.Optimizer,
        loss: Loss,
        batch_size: int,
        seed: int,
    ) -> None:
        """Take what was built in the scope of the strategy.

        Args:
            strategy: that has the replicas.
            network: raw pixels in, a probability for each class out.
            augment: moves the images that are trained with.
            optimizer: not yet built.
            loss: of each image.
            batch_size: images in a batch, over all replicas.
            seed: of all random numbers.
        """
        self.network = network
        self._strategy, self._augment, self._optimizer = strategy, augment, optimizer
        self._loss, self._batch_size, self._seed = loss, batch_size, seed
        resolver = strategy.cluster_resolver
        self._worker: int = (resolver.task_id or 0) if resolver else 0
        with strategy.scope():
            optimizer.build(network.trainable_variables)
        self._random_states = _random_states([augment, network] if augment else [network])
        # There is no control flow for AutoGraph, which would leave files behind where it is killed.
        options = {"reduce_retracing": True, "autograph": False}
        self._train_step = tf.function(self._train_batch, **options)
        self._validation_step = tf.function(self._validate_batch, **options)

    def train(self, split: Split, epoch: int) -> tuple[float, float]:
        """Learn from each image once; return the mean loss and the accuracy on the way.

        Args:
            split: images and labels.
            epoch: from 1.
        """
        self._reseed(epoch)
        order = shuffle(len(split.labels), self._seed, epoch)
        return self._run(self._train_step, split, order, self._batch_size, f"Epoch {epoch}")

    def validate(self, split: Split) -> tuple[float, float]:
        """Return the mean loss and the accuracy on a split."""
        order = np.arange(len(split.labels))
        return self._run(self._validation_step, split, order, EVALUATION_BATCH_SIZE, "Validation")

    def state(self) -> Arrays:
        """Return weights and optimizer, from which training can resume."""
        return {name: variable.numpy() for name, variable in self._variables().items()}

    def restore(self, state: Arrays) -> None:
        """Take weights and optimizer from what `state` has returned."""
        with self._strategy.scope():
            for name, variable in self._variables().items():
                variable.assign(state[name])

    def _variables(self) -> dict[str, keras.Variable]:
        kinds = {"weights": self.network.weights, "optimizer": self._optimizer.variables}
        return {f"{kind}/{i}": v for kind, found in kinds.items() for i, v in enumerate(found)}

    def _reseed(self, epoch: int) -> None:
        """Let each worker draw its own random numbers, the same in each training."""
        for place, state in enumerate(self._random_states):
            numbers = np.random.SeedSequence([self._seed, epoch, self._worker, place])
            state.assign([numbers.generate_state(1)[0] >> 1, 0])  # Keras takes 31 bits

    def _run(
        self,
        step: Callable[..., tf.Tensor],
        split: Split,
        order: npt.NDArray[np.int64],
        batch_size: int,
        name: str,
    ) -> tuple[float, float]:
        totals = tf.zeros(2, "float64")
        starts = range(0, len(order), batch_size)
        for start in tqdm(starts, name, unit="batch", leave=False, disable=None):  # on a terminal
            chosen = order[start : start + batch_size]
            batch = replicas.shard(self._strategy, split, chosen)
            totals += step(*batch, tf.constant(len(chosen), "float32"))
        loss, accuracy = totals.numpy() / len(order)
        return float(loss), float(accuracy)

    def _train_batch(
        self, images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, count: tf.Tensor
    ) -> tf.Tensor:
        """Take one step down the gradient of the mean loss of a batch of `count` images."""

        def train_replica(images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
            if self._augment:
                images = self._augment(images, training=True)
            with tf.GradientTape() as tape:
                probabilities = self.network(images, training=True)
                losses = self._loss(labels, probabilities)
                loss = tf.reduce_sum(losses * weights) / count  # this replica's part of it
            variables = self.network.trainable_variables
            # Keras sums the gradients over all replicas.
            self._optimizer.apply(tape.gradient(loss, variables), variables)
            return _sums(losses, labels, probabilities, weights)

        return self._first(self._strategy.run(train_replica, args=(images, labels, weights)))

    def _validate_batch(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        weights: tf.Tensor,
        count: tf.Tensor,  # noqa: ARG002, to be called like the other
    ) -> tf.Tensor:
        def validate_replica(images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
            probabilities = self.network(images, training=False)
            return _sums(self._loss(labels, probabilities), labels, probabilities, weights)

        return self._first(self._strategy.run(validate_replica, args=(images, labels, weights)))

    def _first(self, values: tf.Tensor) -> tf.Tensor:
        """Return the value of one of the replicas, which all have the same."""
        return self._strategy.experimental_local_results(values)[0]


def shuffle(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Return the order of the images in an epoch, a permutation (count,) of their numbers."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def _random_states(layers: Iterable[keras.Layer]) -> list[keras.Variable]:
    """Return what random layers draw from, at any depth: all that is no weight, as Keras has it."""
    states = []
    for layer in layers:
        weights = {id(weight) for weight in layer.weights}
        states += [variable for variable in layer.variables if id(variable) not in weights]
    return states


def _sums(
    losses: tf.Tensor, labels: tf.Tensor, probabilities: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Return the sum of the losses and the number of correct predictions, over all replicas."""
    correct = tf.argmax(probabilities, axis=-1) == tf.cast(labels, "int64")
    columns = tf.stack([tf.cast(values, "float64") for values in (losses, correct, weights)])
    return replicas.all_reduce_sum(tf.linalg.matvec(columns[:2], columns[2]))
