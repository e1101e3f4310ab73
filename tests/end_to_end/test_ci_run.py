"""The workflow that runs all checks."""

from pathlib import Path

import pytest

from tests.conftest import Clone
from tests.workflows import Runner, read_step

CHECK = read_step("test", "Check everything")
NOTE = '#!/bin/sh\necho "$(basename "$0") $*" >> "$LOG"\n'


@pytest.mark.parametrize(("failing", "done"), [("", ["lint", "test"]), ("lint", ["lint"])])
def test_all_checks_run_until_one_fails(
    reproduced: Clone, tmp_path: Path, failing: str, done: list[str]
) -> None:
    runner = Runner(tmp_path, reproduced)
    for tool in ("apt-get", "sudo", "chromium", "jq", "shellcheck"):
        runner.add_tool(tool, NOTE)
    runner.add_tool("make", f'{NOTE}[ "$1" != "$FAILING" ] && [ "$CI" = true ]\n')
    result = runner.run(CHECK, {}, LOG=str(tmp_path / "log"), FAILING=failing, CI="")
    log = (tmp_path / "log").read_text().splitlines()
    assert [line for line in log if "apt-get" not in line] == [f"make {target}" for target in done]
    assert (result.returncode == 0) == (not failing)
