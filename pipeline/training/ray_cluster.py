"""The Ray cluster that trials and workers run on: that of RAY_ADDRESS, or one of this process."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends this command as it ends the others
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "1",  # of 40 s, in which a cluster that is there answers
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S": "60",  # TensorFlow's start answers nobody
}
ADDRESS = "RAY_ADDRESS"

os.environ.update(SETTINGS)  # before Ray is imported
os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "15")  # each time it asks for room

import numpy as np  # noqa: E402
import psutil  # noqa: E402
import ray  # noqa: E402
from ray.exceptions import RayError  # noqa: E402

from pipeline.core.arrays import Split  # noqa: E402
from pipeline.core.errors import PipelineError  # noqa: E402
from pipeline.core.package import PACKAGE  # noqa: E402
from pipeline.core.params import PARAMS  # noqa: E402
from pipeline.training import checkpoint  # noqa: E402

# Ray has no setting for it: each worker that dies would be worth a page of the raylet's log.
ray._private.worker.listen_error_messages = lambda *_: None


@contextmanager
def connected(threads: int, processes: int) -> Iterator[None]:
    """Connect to a cluster, which is ended, if it was started here, however the block ends.

    Only the package goes to other machines, and the arrays through Ray's object store.

    Args:
        threads: of a process, each of which takes a core.
        processes: at once. For them, a cluster of this machine has cores that need not exist.

    Raises:
        PipelineError: there is none to connect to, its machines have too few cores, or it is lost.
    """
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        _connect(threads * processes)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        address, text = os.environ.get(ADDRESS) or "local", " ".join(str(error).split())
        raise PipelineError(f"Ray: cannot be reached at {address}: {text}") from error
    try:
        signal.signal(signal.SIGTERM, terminate)  # Ray puts its own in place
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        cores = max(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
        if cores < threads:  # Ray would wait for ever
            raise PipelineError(
                f"{PARAMS}: train.threads: must be at most {cores:g}, the cores that the largest "
                f"machine of the Ray cluster has, got {threads}"
            )
        yield
    except RayError as error:
        raise PipelineError(f"Ray: {' '.join(str(error).split())}") from error
    finally:
        ray.shutdown()


def _connect(cores: int) -> None:
    address = os.environ.get(ADDRESS)
    local = {"num_cpus": cores, "_node_ip_address": "127.0.0.1", "include_dashboard": False}
    # Ray's processes would watch a DVC that is not their parent.
    stage = os.environ.pop("DVC_STAGE", None)
    others = psutil.Process().children(recursive=True)
    try:
        ray.init(
            address=address or "local",
            logging_level=logging.CRITICAL,
            log_to_driver=False,
            runtime_env={
                "py_modules": [import_module(PACKAGE)],
                "excludes": ["**/__pycache__"],
                "env_vars": checkpoint.read_settings(),
            },
            **({} if address else local),
        )
    except BaseException:  # Ray leaves what it has not started completely
        for process in set(psutil.Process().children(recursive=True)) - set(others):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        raise
    finally:
        if stage is not None:
            os.environ["DVC_STAGE"] = stage


def in_memory(split: Split) -> Split:
    """Return a split with its arrays in memory, not mapped to files, for Ray's object store."""
    return Split(np.array(split.images), np.array(split.labels))
