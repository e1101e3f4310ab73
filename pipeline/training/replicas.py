"""The copies of the network that learn in step: on one device, on several, on several machines."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.arrays import Split
from pipeline.core.splits import take_images
from pipeline.model.runtime import tf


def make_strategy(workers: int) -> tf.distribute.Strategy:
    """Return how the network is copied: to all workers, to all GPUs, or not at all."""
    if workers > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = accelerators()
    if len(devices) > 1:
        return tf.distribute.MirroredStrategy(devices)
    return tf.distribute.get_strategy()


def accelerators() -> list[str]:
    """Return the names of this machine's GPUs."""
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def shard(
    strategy: tf.distribute.Strategy, split: Split, chosen: npt.NDArray[np.int64]
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the images, labels and weights of a batch, in even parts for the replicas.

    Args:
        strategy: that has the replicas; those of other workers get their parts there.
        split: images (N, height, width, channels) and labels (N,).
        chosen: numbers of the images in the batch, (B,). Parts differ by one image at most. All
            weights are 1, but where there are fewer images than replicas, the others get the
            first image with weight 0, as TensorFlow's layers fail on none; in the statistics of
            batch norm, it counts.
    """
    parts = np.array_split(chosen, strategy.num_replicas_in_sync)
    weights = [np.ones(len(part) or 1, np.float32) * (len(part) > 0) for part in parts]
    parts = [part if len(part) else chosen[:1] for part in parts]

    def spread(values: Callable[[int], npt.NDArray[Any]]) -> tf.Tensor:
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(values(context.replica_id_in_sync_group))
        )

    return (
        spread(lambda replica: take_images(split.images, parts[replica])),
        spread(lambda replica: split.labels[parts[replica]]),
        spread(lambda replica: weights[replica]),
    )


def all_reduce_sum(values: tf.Tensor) -> tf.Tensor:
    """Return the sum of what all replicas, in whose context this is called, have here."""
    here = tf.identity(values)  # on the device of the replica, which TensorFlow goes by
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)
