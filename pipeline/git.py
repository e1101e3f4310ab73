"""What Git knows."""

import subprocess


def git(*arguments: str) -> str:
    """Return what a Git command prints, or nothing where it fails: without commits, or Git."""
    command = ["git", "--no-optional-locks", *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        return ""
    return result.stdout.strip()
