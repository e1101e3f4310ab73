"""Commands and code as the documentation gives them, for tests that do what a reader would do."""

import re
import textwrap
from pathlib import Path

from tests.conftest import ROOT


def commands_in(page: str, start: str) -> str:
    """Return the one block of shell commands on a page of docs/ that starts like this."""
    return _find_block(ROOT / "docs" / page, "sh", start)


def recipe(start: str) -> str:
    """Return the one block of Python in CONTRIBUTING.md that starts like this."""
    return _find_block(ROOT / "CONTRIBUTING.md", "python", start)


def _find_block(page: Path, language: str, start: str) -> str:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", page.read_text(), re.S | re.M)
    blocks = [textwrap.dedent(block) for _, block in found]
    (block,) = (block for block in blocks if block.startswith(start))
    return block
