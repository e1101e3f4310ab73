"""The workflow that comments on pull requests, with a stand-in for GitHub."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.workflows import Runner, find_tool, read_step

GET = read_step("comment", "Get the report")
FIND = read_step("comment", "Find the pull request")
POST = read_step("comment", "Post or update the comment")

HEAD, OTHER = "1234567890" * 4, "abcdef0123" * 4
BRANCH = "$(touch owned)`touch owned`;'\""  # which Git allows
REPORT = '# What changed\n\n`$(touch owned)` "it\'s" ${{ github.token }} ✓ \\n\n'
MARKER = "<!-- pipeline-report -->"
BOT = {"login": "github-actions[bot]"}
RUN_URL = "https://github.com/owner/repository/actions/runs/77"


class Github:
    """GitHub's side: pull requests, comments, and what the review left."""

    def __init__(self, folder: Path) -> None:
        find_tool("jq")
        self.folder = folder / "github"
        (self.folder / "artifact").mkdir(parents=True)
        self.runner = Runner(folder)
        stand_in = f"#!/bin/sh\nexec '{sys.executable}' '{ROOT}/tests/github_stand_in.py' \"$@\"\n"
        self.runner.add_tool("gh", stand_in)
        self.set_pulls({7: HEAD})
        self.set_comments([])
        self.leave("comment.md", REPORT)
        self.leave("number", "7\n")

    def set_pulls(self, heads: dict[int, str]) -> None:
        """Set the open pull requests of the fork's branch, by their number, with their head."""
        head = {"owner": "fork", "ref": BRANCH}
        pulls = [{"number": number, "head": head | {"sha": sha}} for number, sha in heads.items()]
        (self.folder / "pulls.json").write_text(json.dumps(pulls))

    def set_comments(self, comments: list[dict[str, Any]]) -> None:
        """Set the comments of all pull requests."""
        (self.folder / "comments.json").write_text(json.dumps(comments))

    def leave(self, name: str, text: str) -> None:
        """Put a file into the artifact of the review."""
        (self.folder / "artifact" / name).write_text(text)

    def comments(self) -> list[dict[str, Any]]:
        """Return the comments, the last written one last."""
        comments: list[dict[str, Any]] = json.loads((self.folder / "comments.json").read_text())
        return comments

    def body(self) -> str:
        """Return the text of the only comment."""
        (comment,) = self.comments()
        assert comment["issue"] == 7
        text: str = comment["body"]
        return text

    def run(self) -> str:
        """Run the steps of the job, and return what they print."""
        values = {
            "github.token": "secret",
            "github.repository": "owner/repository",
            "github.event.workflow_run.id": "77",
            "github.event.workflow_run.head_sha": HEAD,
            "github.event.workflow_run.head_branch": BRANCH,
            "github.event.workflow_run.head_repository.owner.login": "fork",
            "github.event.workflow_run.html_url": RUN_URL,
        }
        env = {**GET.env, **FIND.env, **POST.env}
        assert {"GH_TOKEN", "GH_REPO"} <= env.keys()
        output = ""
        for step in (GET, FIND, POST):
            # Of the job's `env`, which `read_step` has put into each.
            result = self.runner.run(step, values, GITHUB_STAND_IN=str(self.folder))
            assert result.returncode == 0, result.output
            assert not list(self.runner.clone.path.iterdir()), "something of the report was run"
            output += result.output
            if step is FIND:
                values["steps.find.outputs.number"] = result.outputs["number"]
                if not result.outputs["number"]:
                    break
        return output


@pytest.fixture
def github(tmp_path: Path) -> Github:
    return Github(tmp_path)


def test_report_becomes_one_comment_that_names_its_run(github: Github) -> None:
    github.run()
    first, second, rest = github.body().split("\n", maxsplit=2)
    assert first == MARKER
    assert f"[review]({RUN_URL}) of 1234567" in second
    assert rest == f"\n{REPORT}"


def test_next_report_replaces_it(github: Github) -> None:
    github.run()
    github.leave("comment.md", "Another")
    (github.runner.temp / "review").rename(github.runner.temp / "done")
    github.run()
    assert github.body().endswith("\n\nAnother")


def test_comments_of_others_stay(github: Github) -> None:
    others = [
        {"id": 1, "issue": 7, "user": {"login": "somebody"}, "body": f"{MARKER}\nhello"},
        {"id": 2, "issue": 7, "user": BOT, "body": "of another workflow"},
        {"id": 3, "issue": 8, "user": BOT, "body": f"{MARKER}\nof another pull request"},
    ]
    ours = {"id": 4, "issue": 7, "user": BOT, "body": f"{MARKER}\nold"}
    github.set_comments([*others, ours])
    github.run()
    *left, written = github.comments()
    assert left == others
    assert written["id"] == 4
    assert REPORT in written["body"]


@pytest.mark.parametrize(
    "claim", ["8\n", "9", "7 8", "$(touch owned)", "7/../8", "\n", "\xff" * 99]
)
def test_forged_number_cannot_choose_another_pull_request(github: Github, claim: str) -> None:
    github.set_pulls({7: HEAD, 8: OTHER})
    github.leave("number", claim)
    github.run()
    assert REPORT in github.body()


@pytest.mark.parametrize("number", [7, 9])
def test_number_chooses_where_two_propose_the_same_commit(github: Github, number: int) -> None:
    github.set_pulls({7: HEAD, 9: HEAD})
    github.leave("number", f"{number}\n")
    github.run()
    assert [comment["issue"] for comment in github.comments()] == [number]


@pytest.mark.parametrize("heads", [{}, {7: OTHER}])
def test_closed_or_newer_pull_request_is_left_alone(github: Github, heads: dict[int, str]) -> None:
    github.set_pulls(heads)
    assert f"::notice::No open pull request has {HEAD} as its head" in github.run()
    assert github.comments() == []


def test_missing_report_is_said(github: Github) -> None:
    github.run()
    (github.runner.temp / "review").rename(github.runner.temp / "done")
    (github.folder / "artifact").rename(github.folder / "gone")
    assert "::notice::" in github.run()
    assert github.body() == (
        f"{MARKER}\nThe [review]({RUN_URL}) of 1234567 made no report; its log says why.\n\n"
    )


@pytest.mark.parametrize("length", [59_900, 70_000, 3_000_000])
def test_long_report_is_cut_to_what_github_takes(github: Github, length: int) -> None:
    github.leave("comment.md", "é" * length)
    github.run()
    assert ("Only its beginning fits here." in github.body()) == (length > 60_000)
    assert github.body().count("é") == min(length, 60_000)


def test_report_of_mentions_notifies_nobody_and_fits(github: Github) -> None:
    github.leave("comment.md", "@everyone " * 10_000)
    github.run()
    assert "@\u200beveryone" in github.body()
    assert "@everyone" not in github.body()


def test_link_in_the_artifact_is_not_followed(github: Github) -> None:
    secret = github.folder / "secret"
    secret.write_text("secret")
    (github.folder / "artifact/comment.md").unlink()
    (github.folder / "artifact/comment.md").symlink_to(secret)
    github.run()
    assert "made no report" in github.body()


def test_failure_of_github_is_not_hidden(github: Github) -> None:
    github.runner.add_tool("gh", "#!/bin/sh\necho 'gh: Bad Gateway (HTTP 502)' >&2; exit 1\n")
    with pytest.raises(AssertionError, match="Bad Gateway"):
        github.run()
