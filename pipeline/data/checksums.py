"""Checksums of raw data that is not in Git, in the format of `md5sum`: `data/raw/NAME.md5`."""

from pathlib import Path

from pipeline.core.errors import DataError


def checksums_path(folder: Path) -> Path:
    """Return where the checksums of the files of a raw data set lie, if it is not in Git."""
    return folder.with_name(f"{folder.name}.md5")


def read_checksums(folder: Path) -> dict[str, str]:
    """Return the MD5 of each file of a raw data set by the file's name; nothing without a list.

    Raises:
        DataError: there is a list, but it is damaged.
    """
    path = checksums_path(folder)
    if not path.exists():
        return {}
    md5s = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        md5, _, name = line.partition("  ")
        if len(md5) != 32 or not name.startswith(f"{folder.name}/"):
            raise DataError(f"{path}: is damaged: {line!r}; `git checkout` brings it back")
        md5s[name.removeprefix(f"{folder.name}/")] = md5
    return md5s
