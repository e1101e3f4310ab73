"""The Ray cluster that trials run on: that of RAY_ADDRESS, or one that lives with this process."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends this command as it ends the others
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "1",  # of 40 s, in which a cluster that is there answers
}
PACKAGE = Path(__file__).parents[1]

os.environ.update(SETTINGS)  # before Ray is imported

import ray  # noqa: E402
from ray.exceptions import RayError  # noqa: E402
from ray.tune.error import TuneError  # noqa: E402

from pipeline.core.errors import PipelineError  # noqa: E402
from pipeline.core.params import PARAMS  # noqa: E402
from pipeline.training import checkpoint  # noqa: E402


@contextmanager
def connected(threads: int, concurrent: int) -> Iterator[None]:
    """Connect to a cluster, which is ended, if it was started here, however the block ends.

    Only the package goes to other machines, and the arrays through Ray's object store.

    Args:
        threads: of a trial, each of which takes a core.
        concurrent: trials at once. For them, a cluster of this machine has cores that need not
            exist.

    Raises:
        PipelineError: there is none to connect to, its machines have too few cores, or it is lost.
    """
    address = os.environ.get("RAY_ADDRESS")
    local = {
        "num_cpus": threads * concurrent,
        "_node_ip_address": "127.0.0.1",
        "include_dashboard": False,
    }
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address or "local",
            logging_level=logging.CRITICAL,
            log_to_driver=False,
            runtime_env={
                "py_modules": [str(PACKAGE)],
                "excludes": ["**/__pycache__"],
                "env_vars": checkpoint.read_settings(),
            },
            **({} if address else local),
        )
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        text = " ".join(str(error).split())
        raise PipelineError(f"Ray: cannot be reached at {address or 'local'}: {text}") from error
    try:
        signal.signal(signal.SIGTERM, terminate)  # Ray puts its own in place
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        cores = max(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
        if cores < threads:  # Tune would wait for ever
            raise PipelineError(
                f"{PARAMS}: train.threads: must be at most {cores:g}, the cores that the largest "
                f"machine of the Ray cluster has, got {threads}"
            )
        yield
    except TuneError as error:  # the text of a whole traceback
        raise PipelineError(f"Ray Tune: {str(error).strip().splitlines()[-1]}") from error
    except RayError as error:
        raise PipelineError(f"Ray: {' '.join(str(error).split())}") from error
    finally:
        ray.shutdown()
