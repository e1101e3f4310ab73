"""Compare what `dvc.yaml` declares with what the code of the stages uses.

Undeclared code, params or files go stale in silence: `dvc repro` does not notice that they changed.
What people edit is checked as well: params.yaml, experiments.yaml. Exit code 1 where anything is
wrong.
"""

import argparse
import sys

from pipeline.check.faults import find_faults
from pipeline.check.fix import write_missing
from pipeline.core import stage
from pipeline.core.package import command

FIX = f"`{command('check', '--fix')}` writes what is missing"


def main() -> None:
    """Say what is wrong; with --fix, write what is missing before."""
    parser = argparse.ArgumentParser(prog=command("check"), description=__doc__)
    parser.add_argument(
        "--fix", action="store_true", help="write what is missing into dvc.yaml, and docs/params.md"
    )
    parser.add_argument(
        "--stages", action="store_true", help="check only what a run of the stages depends on"
    )
    arguments = parser.parse_args()
    faults = find_faults(arguments.stages)
    missing = [fault for fault in faults if fault.kind]
    if arguments.fix and missing:
        write_missing(missing)
        print("\n".join(f"{fault.text}: done" for fault in missing))
        faults = find_faults(arguments.stages)
    for fault in faults:
        print(fault.text)
    if any(fault.kind for fault in faults):
        print(FIX, file=sys.stderr)
    sys.exit(bool(faults))


if __name__ == "__main__":
    stage.run(main)
