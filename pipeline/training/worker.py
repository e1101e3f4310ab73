"""One of several workers, in a process of its own, perhaps on another machine."""

import socket
import sys
from collections.abc import Mapping
from typing import Any

import ray
from ray.train import get_context
from ray.train.collective import barrier

from pipeline.core.errors import PipelineError
from pipeline.training.checkpoint import Arrays, read_environment
from pipeline.training.mailbox import Terminal

OF_RAY = "TF_USE_LEGACY_KERAS"  # set by Ray Train; `import keras` does not go by it


def work(config: Mapping[str, Any]) -> None:
    """Train with the others, as TF_CONFIG has it; the first of them, the chief, tells the stage.

    Args:
        config: has `mailbox`, an actor; `data`, the arguments of `train_network`, in Ray's object
            store; `environment`, that of the stage; `terminal`, whether it shows progress.
    """
    mailbox, rank = config["mailbox"], get_context().get_world_rank()
    is_chief = rank == 0
    if is_chief and config["terminal"]:
        sys.stderr = Terminal(mailbox)

    def tell(kind: str, content: Any = None) -> None:  # noqa: ANN401
        if is_chief:
            ray.get(mailbox.put.remote(kind, content))

    def save(state: Arrays) -> None:
        tell("save", state)

    try:
        _require_same(config["environment"], rank)
        from pipeline.model import runtime
        from pipeline.training import trainer

        train, val, classes, params = ray.get(config["data"])
        runtime.configure(params.train.threads)
        saved = ray.get(mailbox.state.remote())
        if saved:
            saved["history"] = saved["history"].copy()  # what Ray gives cannot be written to
        barrier()  # TensorFlow's own start takes it for lost who comes late
        trainer.train_network(
            train, val, classes, params, lambda *_: None, saved, lambda: tell("start"), save
        )
    except PipelineError as error:  # as often as it is tried: no case for another worker
        ray.get(mailbox.put.remote("fail", error))


def _require_same(environment: Mapping[str, str], rank: int) -> None:
    """Check that this process computes what that of the stage would."""
    here = read_environment()
    for name in sorted({*here, *environment} - {OF_RAY}):
        if here.get(name) != environment.get(name):
            raise PipelineError(
                f"worker {rank} ({socket.gethostname()}): has {name} {here.get(name)}, but the "
                f"stage has {environment.get(name)}: make them agree"
            )
