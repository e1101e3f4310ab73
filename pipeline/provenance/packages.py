"""The packages that a lock pins, and what other versions of them may change."""

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from packaging.markers import Marker

from pipeline.provenance.paths import PACKAGES

# What another version may change. Python 3.11 and 3.12 lock different versions of NumPy, so it is
# no param of a stage as Keras, TensorFlow and matplotlib are.
EFFECTS = {
    "keras": "any bit",
    "numpy": "any bit",
    "tensorflow": "any bit",
    "pillow": "images that are decoded or resized, and figures",
    "h5py": "the bytes of the model's file",
    "matplotlib": "figures",
}
WITHOUT_RESULTS = {"h5py", "matplotlib"}  # neither weights nor metrics depend on them
PIN = re.compile(r"^([\w.-]+)(?:\[[\w.,-]+\])?==([^\s;\\]+)(?:\s*;\s*([^\\\n]*[^\\\s]))?", re.M)


class Pin(NamedTuple):
    """A version that a lock pins.

    Attributes:
        name: of the package.
        version: of the package.
        marker: of the environments that it is for; empty: of all.
    """

    name: str
    version: str
    marker: str


def parse_lock(text: str) -> list[Pin]:
    """Return what a lock pins, as `make lock` writes it: packages may have a pin per Python."""
    return [Pin(*groups) for groups in PIN.findall(text)]


def describe_versions(pins: list[Pin], name: str) -> str:
    """Return the pinned versions of a package, such as `2.4 (Python < 3.12), 2.5 (Python >= 3.12)`.

    Nothing where it is not pinned.
    """
    found = sorted((pin.version, _plain(pin.marker)) for pin in pins if pin.name == name)
    return ", ".join(f"{number} ({marker})" if marker else number for number, marker in found)


def read_versions(lock: Path = PACKAGES) -> dict[str, str]:
    """Return the version of each package that a lock, as `make lock` writes it, has for here."""
    pins = parse_lock(lock.read_text(encoding="utf-8"))
    return {
        pin.name: pin.version for pin in pins if not pin.marker or Marker(pin.marker).evaluate()
    }


def find_unlocked(lock: Path = PACKAGES) -> list[str]:
    """Return a line for each package of `EFFECTS` of which another version is installed.

    Args:
        lock: as `make lock` writes it.
    """
    wanted = read_versions(lock) if lock.is_file() else {}
    return [
        f"{name} {_installed(name)} is installed, but {lock} has {wanted[name]}: results may differ"
        for name in EFFECTS
        if name in wanted and _installed(name) != wanted[name]
    ]


def _plain(marker: str) -> str:
    return re.sub("['\"]", "", marker).replace("python_full_version", "Python")


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "no version of it"
