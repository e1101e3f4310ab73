"""The processes that train together: who they are, and how they start on this machine."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from pipeline.core.errors import PipelineError
from pipeline.core.package import PACKAGE

VARIABLE = "TF_CONFIG"
COMMAND = [sys.executable, "-m", f"{PACKAGE}.train"]
ENDING_SECONDS = 20.0
Worker = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Cluster:
    """The workers of one training.

    Attributes:
        addresses: `host:port` of each worker. The first is the chief, which writes the outputs.
        index: of this process.
    """

    addresses: tuple[str, ...] = ("",)
    index: int = 0

    @property
    def is_alone(self) -> bool:
        """Whether there are no other workers."""
        return len(self.addresses) == 1

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the outputs."""
        return self.index == 0

    def name(self, index: int) -> str:
        """Return the words that messages call a worker by."""
        return f"worker {index} ({self.addresses[index]})"

    def tf_config(self, index: int) -> str:
        """Return the value of TF_CONFIG for a worker."""
        task = {"type": "worker", "index": index}
        return json.dumps({"cluster": {"worker": self.addresses}, "task": task})


ALONE = Cluster()


def read_cluster(workers: int) -> Cluster | None:
    """Return what TF_CONFIG says, or None where it is not set.

    Raises:
        PipelineError: it is no cluster of so many workers.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    try:
        config = json.loads(text)
        tasks: dict[str, list[str]] = config["cluster"]
        kind, index = config["task"]["type"], int(config["task"]["index"])
        addresses = [*tasks.get("chief", []), *tasks.get("worker", [])]
        place = index if kind == "chief" else index + len(tasks.get("chief", []))
        if kind not in ("chief", "worker") or tasks.keys() - {"chief", "worker"}:
            raise ValueError("only tasks of type chief and worker train here")
        if not 0 <= index < len(tasks.get(kind, [])):
            raise ValueError(f"the cluster has no {kind} {index}")
        for address in addresses:
            split_address(address)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise PipelineError(
            f"{VARIABLE}: cannot be used ({type(error).__name__}: {error}); see "
            "docs/scaling.md#more-workers for one that can"
        ) from None
    if len(addresses) != workers:
        raise PipelineError(
            f"{VARIABLE}: names {len(addresses)} workers, but train.workers in params.yaml is "
            f"{workers}: make them agree, for the number changes the result"
        )
    return Cluster(tuple(addresses), place)


@contextmanager
def start_workers(workers: int) -> Iterator[tuple[Cluster, dict[int, Worker]]]:
    """Start the other workers of a cluster on this machine, and see to it that they end.

    Returns:
        The cluster, and the processes of the other workers by their indices.
    """
    with ExitStack() as free:
        ports = [
            free.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for _ in range(workers)
        ]
    cluster = Cluster(tuple(f"127.0.0.1:{port}" for port in ports))
    others: dict[int, Worker] = {}
    try:
        for index in range(1, workers):
            env = os.environ | {VARIABLE: cluster.tf_config(index)}
            others[index] = subprocess.Popen(COMMAND, env=env)  # noqa: S603
        yield cluster, others
        for other in others.values():
            with suppress(subprocess.TimeoutExpired):  # what it had to do is done
                other.wait(ENDING_SECONDS)
    finally:
        for other in others.values():
            other.kill()
            other.wait()


def split_address(address: str) -> tuple[str, int]:
    """Return host and port.

    Raises:
        ValueError: there are none.
    """
    host, _, port = address.rpartition(":")
    if not host or not 0 < int(port) < 2**16:
        raise ValueError(f"{address!r} is no host:port")
    return host, int(port)
