"""Bring the workers of a training together before TensorFlow connects them.

TensorFlow waits without an end for those that do not come, and never asks whether all train the
same. They meet at the chief's address, which is free until TensorFlow starts.
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from pipeline.core.errors import PipelineError
from pipeline.training.cluster import (
    ALONE,
    VARIABLE,
    Cluster,
    Worker,
    read_cluster,
    split_address,
    start_workers,
)

MEETING_SECONDS = 40.0  # in which all must come: somebody may have to start them by hand
TALK_SECONDS = 5.0  # for one message
RETRY_SECONDS = 0.2
LOOPBACK = ("127.0.0.1", "localhost")
LONGEST_MESSAGE = 2**16  # characters: it may name many workers


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
    cluster, started = read_cluster(workers), dict[int, Worker]()
    with ExitStack() as ending:
        if cluster is None and workers > 1:
            cluster, started = ending.enter_context(start_workers(workers))
        if cluster is None:
            yield ALONE
            return
        os.environ[VARIABLE] = cluster.tf_config(cluster.index)
        ending.callback(os.environ.pop, VARIABLE)
        meet(cluster, key, started=started)
        yield cluster


def meet(
    cluster: Cluster,
    key: str,
    seconds: float = MEETING_SECONDS,
    started: Mapping[int, Worker] | None = None,
) -> None:
    """Wait until all workers have come to the chief.

    Args:
        cluster: the workers.
        key: in which all must agree.
        seconds: in which all must come.
        started: those that this process has started, for which it waits as long as they live: how
            long they take to check the data depends on its size.

    Raises:
        PipelineError: one has not come, or has another key; the message names it.
    """
    if cluster.is_chief:
        answer = _receive(cluster, key, seconds, started or {})
    else:
        answer = _report(cluster, key, seconds)
    if answer:
        raise PipelineError(answer)


def _receive(cluster: Cluster, key: str, seconds: float, started: Mapping[int, Worker]) -> str:
    """Hear all workers; return, and tell them, why they cannot train together, if so."""
    host, port = split_address(cluster.addresses[0])
    with ExitStack() as ending:
        try:
            # Like TensorFlow: what others call this machine may be another of its addresses.
            place = host if host in LOOPBACK else ""
            server = ending.enter_context(socket.create_server((place, port)))
        except OSError as error:
            return f"{cluster.name(0)}: this address cannot be used here: {error.strerror}"
        server.settimeout(RETRY_SECONDS)
        give_up = time.monotonic() + seconds
        present: dict[int, socket.socket] = {}
        answer = ""
        while absent := [i for i in range(1, len(cluster.addresses)) if i not in present]:
            answer = _find_ended(cluster, started)
            late = [cluster.name(index) for index in absent if index not in started]
            if not answer and late and time.monotonic() > give_up:
                answer = f"{', '.join(late)}: did not come within {seconds:.0f} s; start it, too"
            if answer:
                break
            try:
                connection = ending.enter_context(server.accept()[0])
            except TimeoutError:
                continue
            message = _hear(connection)
            if message.get("worker") not in range(1, len(cluster.addresses)):
                continue  # a stranger
            present[message["worker"]] = connection  # in place of an earlier one, if it comes again
            if message.get("key") != key:
                answer = (
                    f"{cluster.name(message['worker'])}: has other params, data, code, packages or "
                    "settings of TensorFlow than the chief; make them agree"
                )
                break
        for connection in present.values():
            with suppress(OSError):  # it has left; TensorFlow will miss it
                _say(connection, answer=answer)
        return answer


def _find_ended(cluster: Cluster, started: Mapping[int, Worker]) -> str:
    """Return which worker that was started here has ended instead of training, if one has."""
    for index, worker in started.items():
        code = worker.poll()
        if code is not None:
            return f"{cluster.name(index)}: has ended with code {code} instead of training"
    return ""


def _report(cluster: Cluster, key: str, seconds: float) -> str:
    """Tell the chief that this worker has come; return why they cannot train together, if so."""
    give_up = time.monotonic() + seconds
    host, port = split_address(cluster.addresses[0])
    # The chief waits for the others: here, until it answers or ends.
    patience = None if host in LOOPBACK else seconds + TALK_SECONDS
    while time.monotonic() < give_up:
        with (
            suppress(OSError, UnicodeError),  # the latter of names that none can have
            socket.create_connection((host, port), TALK_SECONDS) as chief,
        ):
            _say(chief, worker=cluster.index, key=key)
            answer = _hear(chief, patience).get("answer")
            if answer is not None:
                return str(answer)
        time.sleep(RETRY_SECONDS)
    return f"{cluster.name(0)}: cannot be reached within {seconds:.0f} s; start it, too"


def _say(connection: socket.socket, **message: object) -> None:
    connection.sendall((json.dumps(message) + "\n").encode())


def _hear(connection: socket.socket, seconds: float | None = TALK_SECONDS) -> dict[str, Any]:
    """Return a message; an empty one if none comes that can be understood."""
    connection.settimeout(seconds)
    with suppress(OSError, ValueError), connection.makefile() as lines:
        message = json.loads(lines.readline(LONGEST_MESSAGE))
        if isinstance(message, dict):
            return message
    return {}
