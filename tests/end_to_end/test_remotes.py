"""DVC remotes of a team, as docs/team.md sets them up: an SSH server and a shared folder."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Clone
from tests.processes import TIMEOUT, wait_until
from tests.ssh_server import sshd

MODEL = "models/model.keras"
LARGE = 100 * 2**20  # bytes, whose upload takes long enough to be interrupted


@pytest.fixture(scope="module")
def ssh_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sshd(tmp_path_factory.mktemp("sshd")) as config:
        yield config


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(params=["ssh", "folder"])
def url(request: pytest.FixtureRequest, store: Path) -> str:
    return f"ssh://storage{store}" if request.param == "ssh" else str(store)


def join(clone: Clone, ssh_config: str) -> Clone:
    """Let the user of a clone know the SSH server."""
    folder = clone.path.parent / "home/.ssh"
    folder.mkdir(mode=0o700)
    (folder / "config").write_text(ssh_config)
    clone.env["PIPELINE_MLFLOW"] = "off"
    return clone


@pytest.fixture
def ann(clone: Clone, ssh_config: str) -> Clone:
    """The clone of who sets the remote up."""
    return join(clone, ssh_config)


@pytest.fixture
def ben(ann: Clone, ssh_config: str, tmp_path: Path) -> Callable[[], Clone]:
    """Clone what Ann has committed, as a colleague with a home and a cache of his own."""

    def make() -> Clone:
        path = tmp_path / "ben/repository"
        ann.run("git", "clone", "--quiet", str(ann.path), str(path))
        return join(Clone(path), ssh_config)

    return make


def add_remote(clone: Clone, url: str) -> None:
    clone.run("dvc", "remote", "add", "--default", "storage", url)
    clone.run("dvc", "remote", "modify", "storage", "verify", "true")
    clone.commit("Add the remote")


def stored(store: Path, content: bytes) -> Path:
    """Return where a remote keeps a file with this content."""
    digest = hashlib.md5(content).hexdigest()
    return store / "files/md5" / digest[:2] / digest[2:]


def assert_nothing_runs(clone: Clone, *stages: str) -> None:
    lines = clone.run("dvc", "repro", *stages).stdout.splitlines()
    assert lines[-1] == "Data and pipelines are up to date."
    assert not any("Running" in line for line in lines)


def test_colleague_gets_a_pushed_state_and_runs_nothing(
    ann: Clone, ben: Callable[[], Clone], url: str
) -> None:
    add_remote(ann, url)
    ann.run("dvc", "push")
    colleague = ben()
    colleague.run("dvc", "pull")
    assert colleague.read() == ann.read()
    assert_nothing_runs(colleague)
    assert colleague.run("git", "status", "--short").stdout == ""


def test_push_of_all_commits_carries_the_outputs_of_another_state(
    ann: Clone, ben: Callable[[], Clone], store: Path
) -> None:
    add_remote(ann, f"ssh://storage{store}")
    ann.edit_params({"train.seed": 1})
    ann.run("dvc", "repro", "train")
    ann.commit("Seed 1")
    model = (ann.path / MODEL).read_bytes()
    ann.run("git", "checkout", "--quiet", "HEAD~1")
    ann.run("dvc", "checkout")

    ann.run("dvc", "push", "--run-cache")
    colleague = ben()
    colleague.run("git", "checkout", "--quiet", "main")
    result = colleague.run("dvc", "pull", "--run-cache", check=False)
    assert result.returncode != 0
    assert MODEL in result.stdout

    ann.run("dvc", "push", "--all-commits")
    colleague.run("dvc", "pull")
    assert (colleague.path / MODEL).read_bytes() == model
    assert_nothing_runs(colleague, "train")


def test_commits_from_before_the_remote_are_pushed_where_a_clone_names_it_itself(
    ann: Clone, store: Path
) -> None:
    model = (ann.path / MODEL).read_bytes()
    ann.run("dvc", "remove", "train")
    ann.commit("Do not train")
    add_remote(ann, f"ssh://storage{store}")
    push = ("dvc", "push", "--all-commits")
    ann.run(*push)
    assert not stored(store, model).exists()
    ann.run("dvc", "remote", "add", "--local", "--default", "storage", f"ssh://storage{store}")
    ann.run(*push)
    assert stored(store, model).read_bytes() == model


def test_experiment_is_pushed_with_its_outputs(
    ann: Clone, ben: Callable[[], Clone], store: Path, tmp_path: Path
) -> None:
    add_remote(ann, f"ssh://storage{store}")
    ann.run("git", "init", "--quiet", "--bare", str(tmp_path / "git"))
    ann.run("git", "remote", "add", "origin", str(tmp_path / "git"))
    ann.run("git", "push", "--quiet", "origin", "main")
    ann.run("dvc", "push")
    ann.run("dvc", "exp", "run", "--name", "shorter", "-S", "train.epochs=1", "train")
    ann.run("dvc", "exp", "push", "origin", "shorter")

    colleague = ben()
    colleague.run("git", "remote", "set-url", "origin", str(tmp_path / "git"))
    colleague.run("dvc", "exp", "pull", "origin", "shorter")
    colleague.run("dvc", "exp", "apply", "shorter")
    colleague.run("dvc", "pull", "train")
    assert (colleague.path / MODEL).read_bytes() == (ann.path / MODEL).read_bytes()
    assert_nothing_runs(colleague, "train")


def test_damaged_object_is_refused_and_can_be_replaced(
    ann: Clone, ben: Callable[[], Clone], url: str, store: Path
) -> None:
    add_remote(ann, url)
    ann.run("dvc", "push")
    model = (ann.path / MODEL).read_bytes()
    damaged = stored(store, model)
    mode = damaged.stat().st_mode
    damaged.chmod(0o644)
    damaged.write_bytes(model[:1000] + b"damage" + model[1006:])
    damaged.chmod(mode)

    colleague = ben()
    result = colleague.run("dvc", "pull", check=False)
    assert result.returncode != 0
    assert f"Checkout failed for following targets:\n{MODEL}\n" in result.stdout
    assert not (colleague.path / MODEL).exists()
    colleague.run("dvc", "fetch", "--all-commits", check=False)
    status = colleague.run("dvc", "status", "--cloud", "--all-commits").stdout
    assert re.search(rf"deleted: +{MODEL}", status)

    damaged.unlink()
    ann.run("dvc", "push")
    colleague.run("dvc", "pull")
    assert (colleague.path / MODEL).read_bytes() == model


def test_interrupted_push_is_noticed_and_goes_on(
    ann: Clone, ben: Callable[[], Clone], store: Path
) -> None:
    add_remote(ann, f"ssh://storage{store}")
    with (ann.path / "large").open("wb") as file:
        os.truncate(file.fileno(), LARGE)
    ann.run("dvc", "add", "large")
    ann.commit("Add a large file")
    push = ann.popen("dvc", "push")
    wait_until(lambda: any(path.stat().st_size > 2**20 for path in store.rglob(".*.tmp")))
    push.kill()
    push.communicate(timeout=TIMEOUT)

    colleague = ben()
    result = colleague.run("dvc", "pull", check=False)
    assert result.returncode != 0
    assert "large" in result.stdout.splitlines()
    assert "new:                large" in ann.run("dvc", "status", "--cloud").stdout

    ann.run("dvc", "push")
    colleague.run("dvc", "pull")
    assert (colleague.path / "large").stat().st_size == LARGE
    assert [*store.rglob(".*.tmp")]  # what docs/team.md says of it
