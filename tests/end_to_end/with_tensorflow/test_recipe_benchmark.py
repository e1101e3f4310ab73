"""The benchmark of the recipe works, and says what it should, on few images."""

import subprocess
import sys

from tests.conftest import ROOT


def test_table_has_a_line_for_each_pair() -> None:
    command = [sys.executable, "-m", "benchmarks.recipe", "--small", "--pairs", "1"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    rows = [line for line in run.stdout.splitlines() if line.startswith("|")]
    lines = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    header, _, pair, average, *targets = lines
    assert header[:4] == ["seed", "plain, s", "recipe, s", "recipe to plain"]
    assert pair[0] == "0"
    assert average == ["mean", *pair[1:]]
    assert float(pair[4]) > 0.3  # even of so few images
    assert [target[0] for target in targets[2:]] == [
        "test accuracy",
        "seconds in `fit`, to plain script",
        "seconds until it is as good, to plain script",
    ]
