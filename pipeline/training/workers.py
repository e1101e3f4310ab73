"""Train with several workers, which Ray Train starts, connects and replaces."""

import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any

from pipeline.training.ray_cluster import connected, in_memory  # isort: skip  # sets Ray up

import pandas as pd
import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.core.arrays import Split
from pipeline.core.errors import PipelineError
from pipeline.model.runtime import keras
from pipeline.training import trainer
from pipeline.training.checkpoint import Arrays, read_environment
from pipeline.training.follower import MAX_FAILURES, WAITS, Follower
from pipeline.training.mailbox import END, Mailbox, WorkerFailures
from pipeline.training.params import TrainingParams, TrainParams
from pipeline.training.worker import work


def train_network(
    train: Split,
    val: Split,
    classes: int,
    params: TrainingParams,
    on_epoch_end: trainer.EpochEnd,
    saved: Arrays | None = None,
    on_start: Callable[[], None] = lambda: None,
    save: Callable[[Arrays], None] = lambda _: None,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train as `trainer.train_network` does, with as many workers as params say.

    One that is lost is replaced, and training resumes after the last whole epoch.

    Raises:
        PipelineError: also if there is no Ray cluster or no room in it, or too many were lost.
    """
    with (
        connected(params.train.threads, params.train.workers),
        tempfile.TemporaryDirectory() as folder,  # for what Ray Train leaves
    ):
        follower = Follower(params.train, saved, on_start, on_epoch_end, save)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        mailbox = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote(saved)
        data = ray.put((in_memory(train), in_memory(val), classes, params))
        engine = _build_engine(params.train, mailbox, data, folder)
        _run(engine, mailbox, follower)
    assert follower.state  # noqa: S101
    return trainer.build_trained(follower.state, train.images.shape[1:], classes, params)


def _build_engine(params: TrainParams, mailbox: Any, data: Any, folder: str) -> Any:  # noqa: ANN401
    from ray.train.tensorflow import TensorflowTrainer  # imports TensorFlow, as runtime has done

    gpus = int(ray.cluster_resources().get("GPU", 0)) // params.workers
    return TensorflowTrainer(
        work,
        train_loop_config={
            "mailbox": mailbox,
            "data": data,
            "environment": read_environment(),
            "terminal": sys.stderr.isatty(),
        },
        scaling_config=ScalingConfig(
            num_workers=params.workers,
            use_gpu=gpus > 0,
            resources_per_worker={"CPU": params.threads} | ({"GPU": gpus} if gpus else {}),
            placement_strategy="SPREAD",
        ),
        run_config=RunConfig(
            name="workers",
            storage_path=folder,
            failure_config=FailureConfig(MAX_FAILURES, controller_failure_limit=WAITS - 1),
            callbacks=[WorkerFailures(mailbox)],
        ),
    )


def _run(engine: Any, mailbox: Any, follower: Follower) -> None:  # noqa: ANN401
    """Let Ray Train run the workers, and follow them in a thread that ends before Ray does."""
    controllers: list[Any] = []
    engine._register_sigint_handler = controllers.append  # Ctrl-C ends this as other commands
    raised: list[Exception] = []
    fault = ""

    def follow() -> None:
        try:
            while (message := ray.get(mailbox.take.remote())) != END:
                kind, content = message
                getattr(follower, kind)(content)
        except Exception as error:
            raised.append(error)
            for controller in controllers:
                ray.kill(controller)  # so that `fit` ends, too

    thread = threading.Thread(target=follow)
    try:
        thread.start()
        engine.fit()
    except Exception as error:
        fault = str(error).strip() or type(error).__name__
    except BaseException:  # Ctrl-C or SIGTERM: what is still in the mailbox does not matter
        ray.kill(mailbox)
        raise
    finally:
        mailbox.put.remote(*END)  # after all that workers have sent
        thread.join()
    if raised:
        raise raised[0]
    if fault:
        raise PipelineError(follower.explain(fault))
