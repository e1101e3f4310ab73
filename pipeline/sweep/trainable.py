"""One trial: the pipeline's training, in a process of its own, perhaps on another machine."""

from typing import Any

from ray import tune

from pipeline.core.arrays import Split
from pipeline.core.errors import PipelineError
from pipeline.core.rounding import DIGITS
from pipeline.provenance.params import Params
from pipeline.sweep.space import apply

EPOCH, FAULT = "epoch", "fault"


def train_trial(
    config: dict[str, Any], train: Split, val: Split, classes: int, params: Params
) -> None:
    """Train with the changes in `config`, and report each epoch.

    Args:
        config: has `changes`, the params that the trial sets, by their dotted names.
        train: read only, in Ray's object store; so is `val`.
        val: as `trainer.train_network` takes it.
        classes: their number.
        params: all others.
    """
    from pipeline.model import runtime
    from pipeline.training import trainer

    chosen = apply(params, config["changes"])
    runtime.configure(chosen.train.threads)
    runtime.keras.utils.clear_session()  # of the trial that this process had before
    last: dict[str, Any] = {EPOCH: 0}

    def report(epoch: int, logs: dict[str, float]) -> None:
        last.update({name: round(value, DIGITS) for name, value in logs.items()}, epoch=epoch)
        # The last epoch is the last report, and the scheduler ends the trial with it.
        tune.report(dict(last))

    try:
        trainer.train_network(train, val, classes, chosen, report)
    except PipelineError as error:  # as often as it is tried: no case for another worker
        tune.report({**last, FAULT: str(error)})
