"""Packages that compute and are not those of the lock are named, for the Python that runs."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipeline.provenance.packages import Pin, describe_versions, find_unlocked, parse_lock

HASH = "    --hash=sha256:0064a19bdc054a4b7c5e7e21cdf50ce38a114c2bada578b4f5267a37410f6784"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock of the installed versions; of NumPy, the other Python's differs."""
    major, minor = sys.version_info[:2]
    this = f"python_full_version >= '{major}.{minor}'"
    lines = [
        f"keras=={version('keras')} \\",
        f"matplotlib=={version('matplotlib')} \\",
        f"numpy=={version('numpy')} ; {this} \\",
        f"numpy==1.0 ; python_full_version < '{major}.{minor}' \\",
        f"tensorflow=={version('tensorflow')} \\",
    ]
    path = tmp_path / "main.txt"
    path.write_text("".join(f"{line}\n{HASH}\n    # via pipeline==1\n" for line in lines))
    return path


def test_locked_packages_need_no_word(lock: Path) -> None:
    assert find_unlocked(lock) == []


def test_each_package_that_differs_has_a_line(lock: Path) -> None:
    text = lock.read_text()
    for name in ("keras", "numpy"):
        text = text.replace(f"{name}=={version(name)}", f"{name}==1.2.3")
    lock.write_text(text)

    assert find_unlocked(lock) == [
        f"{name} {version(name)} is installed, but {lock} has 1.2.3: results may differ"
        for name in ("keras", "numpy")
    ]


def test_without_a_lock_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert find_unlocked(tmp_path / "main.txt") == []


def test_pins_are_those_that_pip_reads(lock: Path) -> None:
    lines = lock.read_text().splitlines()
    wanted = [Requirement(line.rstrip(" \\")) for line in lines if "==" in line.split("#")[0]]

    pins = parse_lock(lock.read_text() + 'psycopg[binary]==3.2 ; sys_platform == "linux"\n')

    assert pins[:-1] == [
        Pin(one.name, str(one.specifier)[2:], str(one.marker or "").replace('"', "'"))
        for one in wanted
    ]
    assert pins[-1] == Pin("psycopg", "3.2", 'sys_platform == "linux"')


def test_versions_are_told_apart_by_their_pythons() -> None:
    pins = parse_lock(
        "keras==3.15.1 \\\n"
        "numpy==2.5.5 ; python_full_version >= '3.12' \\\n"
        "numpy==2.4.6 ; python_full_version < '3.12' \\\n"
    )

    assert describe_versions(pins, "keras") == "3.15.1"
    assert describe_versions(pins, "numpy") == "2.4.6 (Python < 3.12), 2.5.5 (Python >= 3.12)"
    assert describe_versions(pins, "pillow") == ""
