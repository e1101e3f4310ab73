"""Where a state comes from: its commit, its experiment, and what sets it apart."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.core.params import PARAMS, flatten, unflatten
from pipeline.provenance.git import ROOT, git, read, resolve
from pipeline.provenance.params import Params
from pipeline.provenance.state import NEUTRAL


@dataclass(frozen=True)
class Origin:
    """Where a state comes from.

    Attributes:
        commit: its hash, or that of the commit it was made on top of.
        branch: its name; empty where there is none.
        uncommitted: whether the commit is not all there is.
        experiment: the name that DVC has for it; empty where there is none.
        changes: the params that it changes, such as `epochs=20, dropout=0.3`.
        seconds: when it was committed, since 1970; None where it was not.
        user: who made it, or the commit.
    """

    commit: str
    branch: str
    uncommitted: bool
    experiment: str
    changes: str
    seconds: int | None
    user: str

    @property
    def place(self) -> str:
        """Such as `main 1a2b3c4`, with a + while there are uncommitted changes."""
        place = f"{self.branch or 'detached'} {self.commit[:7]}".strip()
        return place + "+" * self.uncommitted

    @property
    def name(self) -> str:
        """What tells its run from the others."""
        return self.experiment or self.changes or self.place


def present_origin(params: Params) -> Origin:
    """Return the origin of what lies in the working tree.

    While a stage runs, DVC has removed its outputs: only afterwards can Git tell whether they are
    those of the commit.

    Raises:
        GitError: Git cannot tell.
    """
    uncommitted = bool(git("status", "--porcelain"))
    commit = resolve("HEAD")  # none before the first one
    seconds = git("log", "-1", "--format=%ct", commit) if commit else ""
    return Origin(
        commit=commit,
        branch=git("branch", "--show-current") or (_branch_with(commit) if commit else ""),
        uncommitted=uncommitted,
        experiment=os.environ.get("DVC_EXP_NAME", ""),
        changes=describe_changes(
            flatten(params), params_at(_base(commit, uncommitted=uncommitted))
        ),
        seconds=None if uncommitted or not seconds else int(seconds),
        user=git("var", "GIT_AUTHOR_IDENT", none=128).rpartition(" <")[0],  # who has no name set
    )


def describe_changes(params: Mapping[str, object], base: Mapping[str, object]) -> str:
    """Return the params that differ from `base`, or nothing where there is no base.

    They are without their section, but where two sections have a param of that name.
    """
    before = NEUTRAL | dict(base)
    changed = {name: value for name, value in params.items() if before.get(name) != value}
    leaves = Counter(name.rpartition(".")[2] for name in params)
    short = {name: name.rpartition(".")[2] for name in changed}
    shown = {name if leaves[leaf] > 1 else leaf: changed[name] for name, leaf in short.items()}
    return ", ".join(f"{name}={value}" for name, value in shown.items() if base)


def parent_of(commit: str) -> str:
    """Return the commit that tells what another one changes; nothing for the first one.

    For a merge it is where the branches parted: it has the changes of both.

    Raises:
        GitError: Git cannot tell.
    """
    parents = git("rev-list", "--parents", "-n", "1", commit).split()[1:]
    if len(parents) > 1:
        return git("merge-base", "--octopus", *parents, none=1) or parents[0]
    return parents[0] if parents else ""


def params_at(revision: str) -> dict[str, object]:
    """Return the params of a commit by their dotted names; none where there are none to read.

    Raises:
        GitError: Git cannot tell.
    """
    commit = resolve(revision) if revision else ""
    return flatten_sections(parse_yaml(read(commit, PARAMS))) if commit else {}


def parse_yaml(text: str) -> dict[str, Any]:
    """Return the mapping that a YAML text holds, or an empty one where it holds none."""
    try:
        values = YAML(typ="safe").load(text)
    # The parser does not wrap what Python says of, for example, the date 2020-13-45.
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        values = None
    return values if isinstance(values, dict) else {}


def flatten_sections(sections: Mapping[str, Any] | None) -> dict[str, object]:
    """Flatten params as YAML gives them, which may be those of an earlier schema.

    A param that was added since has its neutral value: the others are then read as they were.
    """
    raw: dict[str, object] = {
        f"{section}.{key}": value
        for section, values in (sections or {}).items()
        if isinstance(values, dict)
        for key, value in values.items()
    }
    try:
        return flatten(Params.model_validate(unflatten(NEUTRAL | raw)))
    except ValidationError:
        return raw


def _base(commit: str, *, uncommitted: bool) -> str:
    """Return the commit to compare the working tree with."""
    if not uncommitted or not commit:
        return parent_of(commit) if commit else ""
    merged = resolve("MERGE_HEAD")
    return (git("merge-base", commit, merged, none=1) if merged else "") or commit


def _branch_with(commit: str) -> str:
    """Return a branch that ends with a commit, or has it: DVC runs experiments on no branch."""
    for where in ("--points-at", "--contains"):
        refs = git(
            "-C",
            str(ROOT),
            "for-each-ref",
            "--format=%(refname:short)",
            f"{where}={commit}",
            "refs/heads",
        )
        if refs:
            return refs.splitlines()[0]
    return ""
