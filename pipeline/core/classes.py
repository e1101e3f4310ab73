"""The names of the classes, one a line, in the order of their labels."""

import re
import unicodedata
from pathlib import Path

from pipeline.core import files

CLASSES = Path("data/prepared/classes.txt")
MAX_CHARACTERS = 100
# What would break lines and tables: control characters, line and paragraph separators, and the
# halves of characters that stand for the undecodable bytes of a file's name.
BREAKING = {"Cc", "Zl", "Zp", "Cs"}
# What turns the direction of text, so that a name looks like another: Unicode's UAX #9, 2.
TURNING = {*"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}
FORMULA = re.compile(r"[=+@-](?!\d+(\.\d+)?$)")  # what a spreadsheet runs; numbers are none


def find_fault(name: str) -> str:
    """Return what keeps a name from being that of a class, or nothing."""
    if not name:
        return "is empty"
    if name != name.strip():
        return "starts or ends with a space"
    if len(name) > MAX_CHARACTERS:
        return f"has {len(name)} characters, at most {MAX_CHARACTERS} are allowed"
    for character in name:
        if unicodedata.category(character) in BREAKING or character in TURNING:
            return f"has the character U+{ord(character):04X}, which is not allowed"
    if FORMULA.match(name):
        return f"starts with {name[0]}, so that a spreadsheet would run it as a formula"
    return ""


def parse_classes(text: str) -> list[str]:
    """Return the names in a text of one name a line.

    Raises:
        ValueError: there is none, two are the same, or one cannot be a name; it says in which line.
    """
    names = text.removesuffix("\n").split("\n")
    lines: dict[str, int] = {}
    for line, name in enumerate(names, start=1):
        if fault := find_fault(name):
            raise ValueError(f"the name in line {line} {fault}")
        if name in lines:
            raise ValueError(f"lines {lines[name]} and {line} have the same name")
        lines[name] = line
    return names


def write_classes(path: Path, names: list[str]) -> None:
    """Write the names of the prepared data's classes."""
    files.write_text(path, "".join(f"{name}\n" for name in names))


def read_classes(path: Path = CLASSES) -> list[str]:
    """Return the names of the prepared data's classes.

    Raises:
        DataError: the file is missing or damaged.
    """
    return files.read_text(path, parse_classes)
