"""Which commits can be promoted: those that hold what was made, and that others can have."""

from pathlib import Path

from pipeline.core import files
from pipeline.core.errors import PipelineError
from pipeline.model.paths import MODEL
from pipeline.provenance.commits import find_commit, is_shared
from pipeline.provenance.git import git, resolve, untracked_files
from pipeline.provenance.paths import CODE
from pipeline.provenance.recorded import read_recorded
from pipeline.provenance.reproduced import require_reproduced, shorten


def find_shared(revision: str) -> str:
    """Return the commit of a revision, or of an experiment's name, that others can have.

    Raises:
        PipelineError: there is none, or no branch holds it.
    """
    commit = find_commit(revision)
    if not commit:
        raise PipelineError(f"Git: there is no commit or experiment {revision}")
    if not is_shared(commit):
        raise PipelineError(
            f"Git: no branch holds {revision}, so that others could not find what was promoted; "
            f"`dvc exp branch {revision} NAME` makes one of an experiment, which can be promoted"
        )
    return commit


def require_commit() -> str:
    """Return the commit that holds the present state.

    Raises:
        PipelineError: there is none, because something differs from the last commit or from what
            the pipeline would make.
    """
    commit = resolve("HEAD")
    if not commit:
        raise PipelineError("Git: there is no commit; only a committed state can be promoted")
    changed = [
        line.split(maxsplit=1)[1]
        for line in git("status", "--porcelain", "--untracked-files=no").splitlines()
    ]
    deps = {dep for declared in read_recorded(Path()).declared.values() for dep in declared.deps}
    changed += untracked_files(*(dep for dep in deps if Path(dep).is_relative_to(CODE)))
    if changed:
        raise PipelineError(
            f"Git: not committed: {shorten(changed)}; only a committed state can be promoted: "
            "commit, stash or remove what differs"
        )
    require_reproduced("`dvc repro`, commit, and promote that")
    # Which DVC goes by, unless its time or size has changed.
    if files.md5(MODEL) != read_recorded(Path()).made[str(MODEL)]:
        raise PipelineError(f"{MODEL}: is damaged; {files.remedy_for(MODEL)}")
    return commit
