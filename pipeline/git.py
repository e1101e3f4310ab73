"""What Git knows of the repository."""

import subprocess


def git(*arguments: str) -> str:
    """Return what a Git command prints, without line ends around it; nothing if it fails."""
    command = ["git", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return result.stdout.strip()
