"""Whether DVC can run experiments in copies of a clone."""

import re
from pathlib import Path

from pipeline.core.errors import PipelineError
from pipeline.provenance.git import ROOT, git

# DVC takes the path for a URL, and writes it, like Git's configuration, to a file in ASCII.
NOT_IN_PATHS = re.compile(r"[#?%]|[^\x00-\x7f]")


def require_copies() -> None:
    """Check that DVC can run experiments in copies of this clone, and hand over what they make.

    Raises:
        PipelineError: it cannot; the message says why and what to do.
    """
    here = "-C", str(ROOT)
    config = Path(git(*here, "rev-parse", "--path-format=absolute", "--git-path", "config"))
    if git(*here, "rev-parse", "--is-shallow-repository") == "true":
        fault = "is shallow", "`git fetch --unshallow` completes it"
    elif git(*here, "config", "--get-regexp", r"^remote\..*\.promisor$", none=1):
        fault = "is partial", "clone it without --filter"
    elif lost := NOT_IN_PATHS.search(str(ROOT)):
        fault = f"has a {lost[0]} in its path, {ROOT}", "move or rename the folder"
    elif not config.read_bytes().isascii():
        fault = f"has non-ASCII letters in {config}", "set that name with `git config --global`"
    else:
        return
    raise PipelineError(
        f"Git: this clone {fault[0]}, and DVC loses the experiments that it runs in a copy of it; "
        f"{fault[1]}"
    )
