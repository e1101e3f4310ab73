"""Text as Markdown, in which what comes from files stays text."""

import json
import re
from collections.abc import Iterable, Sequence

PLAIN = re.compile(r"[^\W_]+(?:[ ,./-]+[^\W_]+)*")


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def folded(summary: str, text: str) -> str:
    """Return text that is shown when its summary is clicked at."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def escape(text: str) -> str:
    """Return text in one line, in which Markdown and HTML find nothing."""
    return re.sub(r"([\\`<>|*\[\]&\"])", r"\\\1", " ".join(text.split()))


def sentence(text: str) -> str:
    """Return one of our own sentences, which may name commands, whatever it quotes of a file.

    A `<` that begins no tag, as in `Python < 3.12`, stays.
    """
    return re.sub(r"([\\|*\[\]&]|<(?=[A-Za-z/!?]))", r"\\\1", " ".join(text.split()))


def literal(text: str) -> str:
    """Return text as it is; as code where Markdown might find something in it."""
    return text if PLAIN.fullmatch(text) else code(text)


def code(value: object) -> str:
    """Return a value as code, in one line."""
    plain = json.dumps(value) if value is None or isinstance(value, bool) else str(value)
    return f"`{' '.join(re.sub('[`|]', '', plain).split())}`"
