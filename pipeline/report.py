"""Say what a state changed against BASE, and whether the difference is real.

On a terminal, a summary; into a pipe or with --output, all of it as Markdown. It needs only
what is in Git: no DVC remote, no TensorFlow.
"""

import argparse
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core import stage
from pipeline.core.errors import PipelineError
from pipeline.core.package import command
from pipeline.review.mlflow_runs import Lookup
from pipeline.review.report_error import ReportError

if TYPE_CHECKING:
    from pipeline.review.document import Findings

GATES = ("regression", "stale")


def main() -> None:
    """Compare, print the report, and check the gates."""
    parser = argparse.ArgumentParser(prog=command("report"), description=__doc__)
    parser.add_argument(
        "base",
        nargs="?",
        metavar="BASE",
        help="Git revision to compare with (default: where the state left main)",
    )
    parser.add_argument(
        "--head",
        metavar="REV",
        help="compare this commit, whose own check is run, not the working tree",
    )
    parser.add_argument(
        "--reproduced",
        action="store_true",
        help="compare the commit HEAD, of which the working tree holds what `dvc repro` made here",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write report.md and its pictures there, too"
    )
    parser.add_argument(
        "--fail-on",
        action="append",
        default=[],
        choices=GATES,
        help="exit with 1 for a real regression, or for a lock or metrics that are out of date",
    )
    args = parser.parse_args()
    if args.reproduced and args.head:
        parser.error("--reproduced is about HEAD: leave out --head")
    try:
        findings = _report(args)
    except BrokenPipeError:  # who reads it has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except PipelineError as error:  # exit code 1 is for gates
        raise ReportError(str(error)) from error
    from pipeline.review.gates import check_gates

    check_gates(args.fail_on, findings.judgement, findings.stale)


def _report(args: argparse.Namespace) -> "Findings":
    lookup = Lookup()
    # Takes a second, in which the process that the lookup has started imports MLflow.
    from pipeline.review.document import find, write
    from pipeline.review.reading import at_commit, in_working_tree, merge_base
    from pipeline.review.undeclared import end_check, start_check

    head = "HEAD" if args.reproduced else args.head
    with ExitStack() as stack:
        stack.callback(lookup.close)
        new = in_working_tree() if head is None else stack.enter_context(at_commit(head))
        check = start_check(new.folder)
        stack.callback(end_check, check)
        if args.base is None:
            base, branch = merge_base(head or "HEAD")
            if base == new.commit:
                raise ReportError(
                    f"{new.name} is on {branch}, so there is nothing to compare: change something, "
                    "or name a BASE, such as HEAD~"
                )
            old = stack.enter_context(at_commit(base, branch))
        else:
            old = stack.enter_context(at_commit(args.base))
        lookup.ask(old.state_id, new.state_id)
        findings = find(old, new, in_working_tree() if args.reproduced else None, check)
        if sys.stdout.isatty() and args.output is None:
            from pipeline.review.terminal import show

            show(old, new, findings, lookup)
        else:
            write(old, new, findings, lookup, args.output)
    return findings


if __name__ == "__main__":
    stage.run(main)
