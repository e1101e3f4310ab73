"""Bring the workers of a training together before TensorFlow connects them.

TensorFlow waits without an end for those that do not come, and never asks whether all train the
same. They meet at the chief's address, which is free until TensorFlow starts.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from pipeline.cluster import ALONE, VARIABLE, Cluster, read_cluster, split_address, start_workers
from pipeline.errors import PipelineError

MEETING_SECONDS = 40.0  # in which all must come: somebody may have to start them by hand
TALK_SECONDS = 5.0  # for one message
RETRY_SECONDS = 0.2


@contextmanager
def gather(workers: int, key: str) -> Iterator[Cluster]:
    """Give the cluster that this process is part of, once all of its workers have come.

    It is the one that TF_CONFIG names; without, the other workers are started on this machine,
    and end with the block.

    Args:
        workers: their number, as params.yaml has it.
        key: digest of what training depends on, in which all workers must agree.

    Raises:
        PipelineError: TF_CONFIG cannot be used, or a worker does not come or disagrees; the
            message names it.
    """
    cluster = read_cluster(workers)
    with ExitStack() as ending:
        if cluster is None and workers > 1:
            cluster = ending.enter_context(start_workers(workers))
        if cluster is None:
            yield ALONE
            return
        os.environ[VARIABLE] = cluster.tf_config(cluster.index)
        ending.callback(os.environ.pop, VARIABLE)
        meet(cluster, key)
        yield cluster


def meet(cluster: Cluster, key: str, seconds: float = MEETING_SECONDS) -> None:
    """Wait until all workers have come to the chief.

    Raises:
        PipelineError: one has not come in time, or has another key; the message names it.
    """
    if not cluster.is_chief:
        answer = _report(cluster, key, seconds)
    else:
        with ExitStack() as ending:
            answer = _receive(cluster, key, seconds, ending)
    if answer:
        raise PipelineError(answer)


def _receive(cluster: Cluster, key: str, seconds: float, ending: ExitStack) -> str:
    """Hear all workers; return, and tell them, why they cannot train together, if so."""
    give_up = time.monotonic() + seconds
    try:
        server = ending.enter_context(socket.create_server(split_address(cluster.addresses[0])))
    except OSError as error:
        return f"{cluster.name(0)}: this address cannot be used here: {error.strerror}"
    present: dict[int, socket.socket] = {}
    answer = ""
    while len(present) < len(cluster.addresses) - 1 and not answer:
        server.settimeout(max(0.001, give_up - time.monotonic()))
        try:
            connection = ending.enter_context(server.accept()[0])
        except TimeoutError:
            others = range(1, len(cluster.addresses))
            names = ", ".join(cluster.name(index) for index in others if index not in present)
            answer = f"{names}: did not come within {seconds:.0f} s; start it, too"
            break
        message = _hear(connection)
        if message.get("worker") not in range(1, len(cluster.addresses)):
            continue  # a stranger
        present[message["worker"]] = connection
        if message.get("key") != key:
            answer = (
                f"{cluster.name(message['worker'])}: has other params, data, code, packages or "
                "settings of TensorFlow than the chief; make them agree"
            )
    for connection in present.values():
        with suppress(OSError):  # it has left; TensorFlow will miss it
            _say(connection, answer=answer)
    return answer


def _report(cluster: Cluster, key: str, seconds: float) -> str:
    """Tell the chief that this worker has come; return why they cannot train together, if so."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        with (
            suppress(OSError, UnicodeError),  # the latter of names that none can have
            socket.create_connection(split_address(cluster.addresses[0]), TALK_SECONDS) as chief,
        ):
            _say(chief, worker=cluster.index, key=key)
            answer = _hear(chief, seconds + TALK_SECONDS).get("answer")  # it waits for others
            if answer is not None:
                return str(answer)
        time.sleep(RETRY_SECONDS)
    return f"{cluster.name(0)}: cannot be reached within {seconds:.0f} s; start it, too"


def _say(connection: socket.socket, **message: object) -> None:
    connection.sendall((json.dumps(message) + "\n").encode())


def _hear(connection: socket.socket, seconds: float = TALK_SECONDS) -> dict[str, Any]:
    """Return a message; an empty one if none comes that can be understood."""
    connection.settimeout(max(0.001, seconds))
    with suppress(OSError, ValueError), connection.makefile() as lines:
        message = json.loads(lines.readline(1000))
        if isinstance(message, dict):
            return message
    return {}
