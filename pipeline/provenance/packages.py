"""Whether the packages that compute are those of the lock."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from pipeline.provenance.paths import PACKAGES

# What may change any bit. Python 3.11 and 3.12 lock different versions of NumPy, so it is no param
# of a stage as the others are.
COMPUTING = ("keras", "matplotlib", "numpy", "tensorflow")


def find_unlocked(lock: Path = PACKAGES) -> list[str]:
    """Return a line for each of these packages of which another version is installed.

    Args:
        lock: as `make lock` writes it.
    """
    lines = lock.read_text(encoding="utf-8").splitlines() if lock.is_file() else []
    pinned = (Requirement(line.rstrip(" \\")) for line in lines if "==" in line.split("#")[0])
    wanted = {
        requirement.name: str(requirement.specifier).removeprefix("==")
        for requirement in pinned
        if requirement.marker is None or requirement.marker.evaluate()
    }
    return [
        f"{name} {_installed(name)} is installed, but {lock} has {wanted[name]}: results may differ"
        for name in COMPUTING
        if name in wanted and _installed(name) != wanted[name]
    ]


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "no version of it"
