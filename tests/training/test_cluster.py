"""Who trains together: what TF_CONFIG says, and how workers meet."""

import json
import socket
import subprocess
import threading
from contextlib import ExitStack

import pytest

from pipeline.core.errors import PipelineError
from pipeline.training.cluster import ALONE, Cluster, read_cluster
from pipeline.training.meeting import gather, meet

TWO = ["10.0.0.1:2222", "10.0.0.2:2222"]
PLACE = "docs/scaling.md#more-workers"


def config(tasks: object, kind: object = "worker", index: object = 0) -> str:
    return json.dumps({"cluster": tasks, "task": {"type": kind, "index": index}})


def test_without_the_variable_there_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert read_cluster(2) is None
    with gather(1, "key") as cluster:
        assert cluster == ALONE
        assert cluster.is_chief


@pytest.mark.parametrize(
    ("tasks", "kind", "index", "place"),
    [
        ({"worker": TWO}, "worker", 0, 0),
        ({"worker": TWO}, "worker", 1, 1),
        ({"chief": TWO[:1], "worker": TWO[1:]}, "chief", 0, 0),
        ({"chief": TWO[:1], "worker": TWO[1:]}, "worker", 0, 1),
    ],
)
def test_cluster_is_that_of_the_variable(
    monkeypatch: pytest.MonkeyPatch, tasks: object, kind: str, index: int, place: int
) -> None:
    monkeypatch.setenv("TF_CONFIG", config(tasks, kind, index))
    cluster = read_cluster(2)
    assert cluster == Cluster(tuple(TWO), place)
    assert cluster.name(1) == "worker 1 (10.0.0.2:2222)"
    assert json.loads(cluster.tf_config(1)) == {
        "cluster": {"worker": TWO},
        "task": {"type": "worker", "index": 1},
    }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "JSONDecodeError: "),
        ("[]", "TypeError: "),
        ("{}", "KeyError: 'cluster'"),
        (config({"worker": TWO}, "evaluator"), "only tasks of type chief and worker train here"),
        (config({"worker": TWO, "ps": TWO}), "only tasks of type chief and worker train here"),
        (config({"worker": TWO}, index=2), "the cluster has no worker 2"),
        (config({"worker": TWO}, "chief"), "the cluster has no chief 0"),
        (config({"worker": ["10.0.0.1", TWO[1]]}), "'10.0.0.1' is no host:port"),
        (config({"worker": ["10.0.0.1:65536", TWO[1]]}), "'10.0.0.1:65536' is no host:port"),
        (config({"worker": TWO}, index="first"), "ValueError: "),
    ],
)
def test_variable_that_cannot_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str, fault: str
) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(PipelineError) as caught:
        read_cluster(2)
    message = str(caught.value)
    assert message.startswith("TF_CONFIG: cannot be used (")
    assert fault in message
    assert PLACE in message


def test_number_of_workers_must_be_that_of_the_params(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", config({"worker": TWO}))
    with pytest.raises(PipelineError, match=r"names 2 workers, but train.workers .* is 3"):
        read_cluster(3)


@pytest.fixture
def addresses() -> tuple[str, ...]:
    """Addresses of this machine that nobody uses."""
    with ExitStack() as free:
        ports = [
            free.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for _ in range(3)
        ]
    return tuple(f"127.0.0.1:{port}" for port in ports)


def meet_all(addresses: tuple[str, ...], keys: dict[int, str], seconds: float) -> dict[int, str]:
    """Let workers meet, each with its key; return what each of them is told."""
    told: dict[int, str] = {}

    def join(index: int) -> None:
        try:
            meet(Cluster(addresses, index), keys[index], seconds)
            told[index] = ""
        except PipelineError as error:
            told[index] = str(error)

    threads = [threading.Thread(target=join, args=(index,)) for index in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def test_workers_meet_whoever_comes_first(addresses: tuple[str, ...]) -> None:
    assert meet_all(addresses, {2: "a", 0: "a", 1: "a"}, 60) == {0: "", 1: "", 2: ""}
    assert meet_all(addresses, {0: "a", 1: "a", 2: "a"}, 60) == {0: "", 1: "", 2: ""}


def test_all_are_told_who_did_not_come(addresses: tuple[str, ...]) -> None:
    told = meet_all(addresses, {0: "a", 1: "a"}, 1)
    expected = f"worker 2 ({addresses[2]}): did not come within 1 s; start it, too"
    assert told == {0: expected, 1: expected}


def test_a_worker_that_was_started_here_may_take_longer_but_not_end(
    addresses: tuple[str, ...],
) -> None:
    told: dict[int, str] = {}
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as alive:
        late = threading.Timer(1, lambda: told.update(meet_all(addresses[:2], {1: "a"}, 60)))
        late.start()
        meet(Cluster(addresses[:2]), "a", 0.1, {1: alive})
        late.join()
    assert told == {1: ""}
    with subprocess.Popen(["false"]) as ended, pytest.raises(PipelineError) as caught:
        meet(Cluster(addresses[:2]), "a", 60, {1: ended})
    assert str(caught.value).startswith(f"worker 1 ({addresses[1]}): has ended with code 1 ")


def test_a_chief_that_others_call_by_another_address_is_found(addresses: tuple[str, ...]) -> None:
    """As on Debian, where a machine calls itself 127.0.1.1."""
    port = addresses[0].partition(":")[2]
    own, others = f"127.0.0.2:{port}", f"127.0.0.3:{port}"
    worker = threading.Thread(target=meet, args=(Cluster((others, addresses[1]), 1), "a", 60))
    worker.start()
    meet(Cluster((own, addresses[1])), "a", 60)
    worker.join()


def test_all_are_told_of_however_many() -> None:
    with ExitStack() as free:
        servers = [free.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(100)]
        many = tuple(f"127.0.0.1:{server.getsockname()[1]}" for server in servers)
    told = meet_all(many, {0: "a", 1: "a"}, 1)
    assert told[1] == told[0]
    assert many[99] in told[1]


def test_a_chief_that_does_not_come_is_named(addresses: tuple[str, ...]) -> None:
    (message,) = meet_all(addresses, {1: "a"}, 1).values()
    assert message == f"worker 0 ({addresses[0]}): cannot be reached within 1 s; start it, too"


def test_a_worker_that_would_train_something_else_is_named(addresses: tuple[str, ...]) -> None:
    told = meet_all(addresses[:2], {0: "a", 1: "b"}, 60)
    assert told[0] == told[1]
    assert told[0].startswith(f"worker 1 ({addresses[1]}): has other params, data, code")


def test_an_address_that_is_taken_is_named(addresses: tuple[str, ...]) -> None:
    host, _, port = addresses[0].partition(":")
    with socket.create_server((host, int(port))):
        (message,) = meet_all(addresses, {0: "a"}, 1).values()
    assert message.startswith(f"worker 0 ({addresses[0]}): this address cannot be used here: ")


def test_strangers_at_the_door_are_let_go(addresses: tuple[str, ...]) -> None:
    host, _, port = addresses[0].partition(":")

    def knock() -> None:
        for said in (b"GET / HTTP/1.1\r\n\r\n", b"[1]\n", b'{"worker": 9, "key": "a"}\n', b""):
            while True:
                try:
                    with socket.create_connection((host, int(port)), 1) as door:
                        door.sendall(said)
                    break
                except ConnectionRefusedError:
                    continue

    stranger = threading.Thread(target=knock)
    stranger.start()
    told = meet_all(addresses[:2], {0: "a"}, 3)
    stranger.join()
    assert told[0].startswith(f"worker 1 ({addresses[1]}): did not come")
