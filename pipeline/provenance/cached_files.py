"""The files of a committed state that only DVC's cache has."""

import json
from collections.abc import Callable
from pathlib import Path

from pipeline.core import files

CachePath = Callable[[str], str]


def find_cached(digest: str, cache_path: CachePath) -> Path | None:
    """Return where the cache has what has this checksum; None where it is missing or damaged.

    Args:
        digest: MD5 of a file, or, with `.dir` after it, of DVC's list of the files in a folder.
        cache_path: tells where the cache has what is called by a digest.
    """
    path = Path(cache_path(digest)).absolute()
    whole = path.is_file() and files.md5(path) == digest.removesuffix(".dir")
    return path if whole else None


def link_cached_folder(folder: Path, digest: str, cache_path: CachePath) -> None:
    """Make a folder of links to its files in the cache, or none if the cache lacks any of them.

    Args:
        folder: that there is not yet.
        digest: of DVC's list of its files.
        cache_path: as for `find_cached`.
    """
    if (listing := find_cached(digest, cache_path)) is None:
        return
    entries = json.loads(listing.read_text(encoding="utf-8"))
    found = {folder / e["relpath"]: find_cached(e["md5"], cache_path) for e in entries}
    if all(found.values()):
        for path, target in found.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(str(target))
