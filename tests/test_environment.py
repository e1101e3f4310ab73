"""What importing the package sets, whatever the environment says."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def test_backend_of_a_notebook_is_not_taken() -> None:
    """Jupyter exports it to what its cells run."""
    code = "import pipeline, matplotlib; print(matplotlib.get_backend())"
    env = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    assert output.stdout == "agg\n"
