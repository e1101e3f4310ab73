"""Keras and TensorFlow, imported without noise and set up so that same inputs give same bits."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.core.imports import importing


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, and show it only after an error.

    While TensorFlow loads, it writes there (on every machine without a GPU) before it heeds any
    setting: tensorflow issue 100442.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def _hidden(*modules: str) -> Iterator[None]:
    """Let imports of these fail, as if they were not installed, unless they are there already."""
    hidden = {name: None for name in modules if name not in sys.modules}
    sys.modules.update(hidden)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


# Keras takes these where they are installed, for what no stage uses: a quarter of its import.
with importing(), _quiet_stderr(), _hidden("matplotlib", "scipy", "sklearn"):
    import keras
    import tensorflow as tf

# Not what ~/.keras/keras.json may say.
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")

__all__ = ["EVALUATION_BATCH_SIZE", "configure", "count_gpus", "keras", "tf"]

EVALUATION_BATCH_SIZE = 250  # fixed: predictions differ in their last bits with the batch size


def configure(threads: int) -> None:
    """Fix what decides in which order sums are taken; call it before TensorFlow's first operation.

    Args:
        threads: that share one operation; another number gives other bits.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()


def count_gpus() -> int:
    """Return the number of GPUs that TensorFlow sees, without starting it."""
    return len(tf.config.list_physical_devices("GPU"))
