"""Whether `dvc.yaml` declares all that the code uses: the check of the state itself is asked.

It looks at the package that is imported, hence a process of its own. A state from before there was
a check followed other rules, and is not asked.
"""

import os
import subprocess
import sys
from pathlib import Path

from pipeline.core.package import command
from pipeline.provenance.paths import CODE
from pipeline.review.report_error import ReportError

Check = subprocess.Popen[str] | None


def start_check(folder: Path) -> Check:
    """Start the check of the state whose files are in a folder, if it has one."""
    if not any((folder / CODE / name).is_file() for name in ("check/__main__.py", "check.py")):
        return None
    command = [sys.executable, "-m", f"{CODE}.check", "--stages"]
    # A temporary folder may lie in a repository, to which its files are unknown.
    env = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    return subprocess.Popen(  # noqa: S603
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def read_check(check: Check) -> list[str]:
    """Return what the check has found, a line for each fault.

    Raises:
        ReportError: it came to no answer.
    """
    if check is None:
        return []
    output, errors = check.communicate()
    if check.returncode not in (0, 1) or (check.returncode and not output):
        line = (errors or output).strip().splitlines()[-1:]
        raise ReportError(f"`{command('check')}` failed: {' '.join(line)}")
    return output.splitlines()


def end_check(check: Check) -> None:
    """End the check, if nobody has waited for it."""
    if check and check.poll() is None:
        check.kill()
        check.communicate()
