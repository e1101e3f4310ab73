"""Imports of large libraries, which need not wait for the garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Collect no garbage while modules are imported, and never look at their objects again.

    TensorFlow and MLflow make hundreds of thousands, all of which stay. To go through them again
    and again takes a third of the time of the import, and as long when the process ends.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
