"""The copies of the network that learn in step: on one device, on several, on several machines."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.arrays import Split
from pipeline.core.errors import PipelineError
from pipeline.core.splits import take_images
from pipeline.model.runtime import tf
from pipeline.training.checkpoint import Arrays
from pipeline.training.cluster import Cluster

LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)
START_SECONDS = 50
# Ends as soon as its input does.
WATCH = """
import os, select, signal, sys
if not select.select([sys.stdin], [], [], int(sys.argv[1]))[0]:
    print(sys.argv[2], file=sys.stderr, flush=True)
    os.kill(os.getppid(), signal.SIGKILL)
"""


def make_strategy(cluster: Cluster) -> tf.distribute.Strategy:
    """Return how the network is copied: to all workers, to all GPUs, or not at all.

    Raises:
        PipelineError: the address of this worker is taken.
    """
    if not cluster.is_alone:
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except tf.errors.UnknownError as error:
            raise PipelineError(
                f"{cluster.name(cluster.index)}: TensorFlow cannot start here: {error.message}"
            ) from error
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


def broadcast(strategy: tf.distribute.Strategy, arrays: Arrays, *, is_chief: bool) -> Arrays:
    """Return the chief's arrays in every worker.

    They are summed as whole numbers, to which the others add zeros: so no bit changes.

    Args:
        strategy: of all workers.
        arrays: in every worker of the same names, order, shapes and types, of 4 or 8 bytes.
        is_chief: whether it is theirs that count.
    """
    flat = [np.atleast_1d(array).reshape(-1).view(np.int32) for array in arrays.values()]
    packed = np.concatenate(flat) if is_chief else np.zeros(sum(map(len, flat)), np.int32)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def total(values: tf.Tensor) -> tf.Tensor:
        return strategy.run(all_reduce_sum, args=(values,))

    # The first replica is the chief's; it may have others, on its other GPUs.
    values = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(packed * (context.replica_id_in_sync_group == 0))
    )
    summed = strategy.experimental_local_results(total(values))[0].numpy()
    parts = np.split(summed, np.cumsum([len(part) for part in flat])[:-1])
    return {
        name: part.view(array.dtype).reshape(array.shape)
        for (name, array), part in zip(arrays.items(), parts, strict=True)
    }


def all_reduce_sum(values: tf.Tensor) -> tf.Tensor:
    """Return the sum of what all replicas, in whose context this is called, have here."""
    here = tf.identity(values)  # on the device of the replica, which TensorFlow goes by
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)


@contextmanager
def naming_lost(cluster: Cluster) -> Iterator[None]:
    """Say in plain words which worker was lost.

    Raises:
        PipelineError: TensorFlow has noticed that a worker died or does not answer.
    """
    try:
        yield
    except LOST as error:
        text = str(error)
        # The first one: who has passed the news on follows, and this one may have, too.
        lost = [int(task) for task in re.findall(r"task:(\d+)", text)]
        lost = [task for task in lost if task != cluster.index][:1]
        if not lost and "CoordinationService" in text:
            lost = [0]  # the chief runs it
        if cluster.is_alone or (isinstance(error, tf.errors.InternalError) and not lost):
            raise  # it may as well be a fault of this machine
        name = cluster.name(lost[0]) if lost else "a worker"
        raise PipelineError(
            f"{name}: died or cannot be reached; nothing was written, and the same command goes "
            "on after the last whole epoch"
        ) from error


@contextmanager
def starting(cluster: Cluster) -> Iterator[None]:
    """Kill this process if the block, up to what all workers first do together, takes too long.

    TensorFlow would wait for ever for a worker that was lost before it had come to that, in a
    call that lets no other thread of Python run: hence a process that watches.
    """
    if cluster.is_alone:
        yield
        return
    others = [cluster.name(i) for i in range(len(cluster.addresses)) if i != cluster.index]
    fault = f"{' or '.join(others)}: was lost while TensorFlow started"
    command = [sys.executable, "-c", WATCH, str(START_SECONDS), fault]
    # In a session of its own, where Ctrl-C does not reach it.
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, start_new_session=True
    ):
        yield
