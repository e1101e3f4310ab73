"""What Git knows."""

import subprocess


def git(*arguments: str) -> str:
    """Return what a Git command prints, or nothing where it fails: without commits, or Git."""
    command = ["git", "--no-optional-locks", *arguments]
    try:
        result = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    except OSError:
        return ""
    return result.stdout.decode(errors="replace").strip()  # names may be in any encoding
