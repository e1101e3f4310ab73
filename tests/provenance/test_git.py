"""Git is asked, and what it refuses to answer is never taken for an answer."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.core.errors import PipelineError
from pipeline.provenance import copies, git, params
from pipeline.provenance.commits import commits_with
from pipeline.provenance.origin import params_at, present_origin
from pipeline.provenance.params import load_params
from tests.conftest import FROZEN, ROOT

# What makes Git print something else, or nothing, for those who have set it.
UNUSUAL = {
    "color.ui": "always",
    "core.quotePath": "true",
    "i18n.logOutputEncoding": "ISO-8859-1",
    "log.follow": "true",
    "log.showSignature": "true",
    "status.showUntrackedFiles": "no",
    "alias.log": "!false",
    "diff.external": "false",
}


def run(*arguments: str, cwd: Path | None = None) -> str:
    """Run Git as a user does."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two commits, signed where `log.showSignature` may show it."""
    path = tmp_path / "repository"
    path.mkdir()
    monkeypatch.chdir(path)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Zoë")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "zoe@example.com")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    run("init", "--quiet", "--initial-branch", "main")
    shutil.copy(FROZEN["params.yaml"], path)
    run("add", ".")
    run("commit", "--quiet", "--message", "First")
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("epochs: 10", "epochs: 3"))
    run("commit", "--quiet", "--all", "--message", "Second")
    return path


def test_settings_of_the_user_change_no_answer(repository: Path) -> None:
    def answers() -> object:
        listed = [(*commit,) for commit in commits_with(["params.yaml"])]
        return present_origin(load_params()), listed, git.untracked_files("naïve")

    Path("naïve").mkdir()
    Path("naïve/été.txt").touch()
    before = answers()
    key = repository.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    allowed = repository.parent / "allowed"
    allowed.write_text(f"zoe@example.com {key.with_suffix('.pub').read_text()}")
    signing = {"gpg.format": "ssh", "user.signingkey": f"{key}.pub"}
    for name, value in (UNUSUAL | signing | {"gpg.ssh.allowedSignersFile": str(allowed)}).items():
        run("config", name, value)
    assert answers() == before
    run("commit", "--quiet", "-S", "--amend", "--no-edit")
    origin = present_origin(load_params())
    assert origin.commit == run("rev-parse", "HEAD").strip()
    assert origin.uncommitted  # by files that are not in Git, which the user does not want to see
    assert params_at("HEAD")["train.epochs"] == 3
    assert origin.user == "Zoë"
    assert [commit.author for commit in commits_with(["params.yaml"])] == ["Zoë", "Zoë"]
    assert git.untracked_files("naïve") == ["naïve/été.txt"]


def test_line_ends_stay_whatever_is_set(repository: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / ".gitattributes", repository)
    run("add", ".")
    run("commit", "--quiet", "--message", "Attributes")
    clone = tmp_path / "clone"
    run("clone", "--quiet", "--config", "core.autocrlf=true", ".", str(clone))
    assert (clone / "params.yaml").read_bytes() == Path("params.yaml").read_bytes()
    assert run("status", "--porcelain", cwd=clone) == ""


def test_what_is_not_there_is_an_answer(repository: Path) -> None:
    assert git.resolve("HEAD~5") == ""
    assert git.resolve("--help") == ""
    assert git.read("HEAD", Path("none.yaml")) == ""
    assert params_at("HEAD~")["train.epochs"] == 10
    assert params_at("HEAD~2") == {}
    run("switch", "--quiet", "--orphan", "new")
    shutil.copy(FROZEN["params.yaml"], repository)
    origin = present_origin(load_params())
    assert (origin.commit, origin.branch, origin.uncommitted) == ("", "new", True)


def break_index(repository: Path) -> None:
    (repository / ".git/index").write_bytes(b"nothing of an index")


def remove_git(repository: Path) -> None:
    (repository / ".git").rename(repository / "no")


def distrust_owner(_repository: Path) -> None:
    os.environ["GIT_TEST_ASSUME_DIFFERENT_OWNER"] = "1"  # of Git's own tests


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (break_index, r"Git: .*index file .*; remove \.git/index, and `git reset`"),
        (remove_git, r"Git: not a git repository .*; work in a clone"),
        (distrust_owner, r"Git: detected dubious ownership .*safe\.directory"),
    ],
)
def test_refusal_is_passed_on_with_a_remedy(
    repository: Path, monkeypatch: pytest.MonkeyPatch, fault: object, words: str
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "0")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repository.parent))
    fault(repository)  # type: ignore[operator]
    with pytest.raises(git.GitError, match=words):
        present_origin(load_params())


def test_remedy_for_a_broken_index_works(repository: Path) -> None:
    break_index(repository)
    Path(".git/index").unlink()
    run("reset", "--quiet")
    assert not present_origin(load_params()).uncommitted


@pytest.mark.usefixtures("repository")
def test_without_git_nothing_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(git.GitError, match="Git: cannot be run: No such file or directory"):
        git.resolve("HEAD")


def test_file_that_a_partial_clone_lacks_is_named(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    run("clone", "--quiet", "--filter=blob:none", "--bare", f"file://{repository}", str(partial))
    repository.rename(tmp_path / "moved")
    monkeypatch.chdir(partial)
    with pytest.raises(git.GitError, match=r"promisor remote.*clone it without --filter"):
        git.extract(git.resolve("HEAD"), tmp_path / "folder", "params.yaml")


@pytest.mark.parametrize(
    ("arguments", "folder", "words"),
    [
        (["--depth", "1"], "clone", "is shallow.*git fetch --unshallow"),
        (["--filter=blob:none"], "clone", "is partial.*without --filter"),
        ([], "C# tries", "has a # in its path.*rename"),
        ([], "what?", r"has a \? in its path.*rename"),
        ([], "C%23", "has a % in its path.*rename"),
        ([], "Übung 3", "has a Ü in its path.*rename"),
        (["--config", "user.name=Jürgen"], "clone", "non-ASCII letters in .*config.*--global"),
        ([], "clone", ""),
    ],
)
def test_clones_that_lose_experiments_are_refused(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    folder: str,
    words: str,
) -> None:
    run("config", "uploadpack.allowFilter", "true")
    path = tmp_path / folder
    run("clone", "--quiet", *arguments, f"file://{repository}", str(path))
    for module in (copies, params):
        monkeypatch.setattr(module, "ROOT", path)
    monkeypatch.chdir(repository)  # stands for a copy of the clone, as of `dvc exp run --temp`
    for require in (copies.require_copies, params.check_start):
        if words:
            with pytest.raises(PipelineError, match=words):
                require()
        else:
            require()
    monkeypatch.chdir(path)  # where nothing is copied, nothing is lost
    params.check_start()
