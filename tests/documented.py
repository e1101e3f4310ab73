"""Commands as the documentation gives them, for tests that do what a reader would do."""

import re

from tests.conftest import ROOT


def commands_in(page: str, start: str) -> str:
    """Return the one block of shell commands on a page of docs/ that starts like this."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.S | re.M)
    (block,) = (block for block in blocks if block.startswith(start))
    return str(block)
