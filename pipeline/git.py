"""What Git knows."""

import subprocess


def git(*arguments: str) -> str:
    """Return what a Git command prints, or nothing where it fails, for example without commits."""
    command = ["git", "--no-optional-locks", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return result.stdout.strip()
