"""What the workflows on GitHub may do, and that they are well-formed."""

import re
import subprocess
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.end_to_end import test_ci_run, test_workflow_publish, test_workflow_review
from tests.github import test_workflow_comment, test_workflow_test
from tests.workflows import FOLDER, Step, find_tool, read_steps, read_workflows

WORKFLOWS = sorted(FOLDER.iterdir())
USES = re.compile(r"uses: [\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
# All that each job may do with the token of its run.
RIGHTS = {
    ("comment", "comment"): {"actions": "read", "pull-requests": "write"},
    ("publish", "publish"): {"contents": "read"},
    ("review", "review"): {"contents": "read"},
    ("test", "fast"): {"contents": "read"},
    ("test", "code"): {"contents": "read"},
    ("test", "whole"): {"contents": "read"},
}
# No `pull_request_target`: it gives secrets and a writing token to what a fork proposes.
EVENTS = {
    "comment": {"workflow_run"},
    "publish": {"push"},
    "review": {"pull_request"},
    "test": {"pull_request", "push"},
}


def events_of(workflow: dict[str, Any]) -> set[str]:
    on = workflow["on"]
    return {on} if isinstance(on, str) else set(on)


def test_workflows_match_the_schema() -> None:
    check = ["check-jsonschema", "--builtin-schema"]
    subprocess.run([*check, "vendor.github-workflows", *WORKFLOWS], check=True)
    subprocess.run([*check, "vendor.dependabot", ROOT / ".github/dependabot.yml"], check=True)


def test_security_linter_finds_nothing() -> None:
    linter = ["zizmor", "--offline", "--strict-collection", "--persona", "pedantic"]
    result = subprocess.run(
        [*linter, ROOT / ".github"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_actions_are_pinned_by_commit() -> None:
    for path in WORKFLOWS:
        for line in path.read_text().splitlines():
            if "uses:" in line:
                assert USES.fullmatch(line.strip(" -")), f"{path.name}: {line}"


def test_jobs_have_no_more_rights_than_they_need() -> None:
    workflows = read_workflows()
    assert {
        (name, job): details["permissions"]
        for name, workflow in workflows.items()
        for job, details in workflow["jobs"].items()
    } == RIGHTS
    assert all(workflow["permissions"] == {} for workflow in workflows.values())


def test_secrets_are_out_of_reach_of_pull_requests() -> None:
    workflows = read_workflows()
    assert {name: events_of(workflow) for name, workflow in workflows.items()} == EVENTS
    assert workflows["publish"]["on"]["push"] == {"branches": ["main"]}
    assert workflows["publish"]["jobs"]["publish"]["environment"]["name"] == "tracking"
    assert [path.stem for path in WORKFLOWS if "secrets." in path.read_text()] == ["publish"]


def test_only_the_branch_main_writes_the_cache() -> None:
    saving = [
        path.stem for path in WORKFLOWS if re.search("actions/cache(/save)?@", path.read_text())
    ]
    assert saving == ["publish"]
    keys = {
        step["with"]["key"]
        for workflow in read_workflows().values()
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/cache")
    }
    assert len(keys) == 1


def test_who_comments_runs_no_code_of_the_pull_request() -> None:
    (job,) = read_workflows()["comment"]["jobs"].values()
    assert all("uses" not in step for step in job["steps"])
    assert not re.search(r"\b(git|checkout|clone)\b", "".join(step["run"] for step in job["steps"]))


def test_nothing_is_published_without_a_server() -> None:
    (job,) = read_workflows()["publish"]["jobs"].values()
    assert job["env"] == {"HAS_SERVER": "${{ secrets.MLFLOW_TRACKING_URI != '' }}"}
    conditions = {step["name"]: step.get("if") for step in job["steps"] if "run" in step}
    assert conditions.pop("Set up from the lock") is None
    assert set(conditions.values()) == {"env.HAS_SERVER == 'true'"}


def test_shell_steps_hold_no_expression() -> None:
    assert [step for step in read_steps() if "${{" in step.run] == []


def test_shell_steps_stop_at_the_first_failure() -> None:
    for name, workflow in read_workflows().items():
        assert workflow["defaults"] == {"run": {"shell": "bash"}}, name  # with `-eo pipefail`
        steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
        assert all("shell" not in step for step in steps), name


@pytest.mark.parametrize("step", read_steps(), ids=lambda step: f"{step.workflow}: {step.name}")
def test_shell_steps_pass_shellcheck(step: Step) -> None:
    script = f"#!/usr/bin/env bash\nset -eo pipefail\n{step.run}"
    subprocess.run([find_tool("shellcheck"), "-"], input=script, text=True, check=True)


def test_every_shell_step_is_run_by_a_test() -> None:
    modules = (
        *(test_ci_run, test_workflow_comment, test_workflow_publish, test_workflow_review),
        test_workflow_test,
    )
    run = [step for module in modules for step in vars(module).values() if isinstance(step, Step)]
    assert sorted(run) == sorted(read_steps())
