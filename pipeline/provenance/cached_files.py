"""Files and folders as DVC knows them: by an MD5, under which its cache may have them."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from pipeline.core import files
from pipeline.data.checksums import read_checksums
from pipeline.provenance.git import tracked
from pipeline.provenance.origin import parse_yaml
from pipeline.provenance.paths import CODE

CachePath = Callable[[str], str]


def digest(root: Path, path: str | Path, *, cloned: bool = True) -> str | None:
    """Return the MD5 that DVC has for a file or folder, or None where there is none.

    That of a folder is the MD5 of a JSON list of its files and theirs, with `.dir` at its end.

    Args:
        root: the folder that has the whole state.
        path: below it.
        cloned: whether code in the working tree counts as a clone would have it.
    """
    here = root / path
    pointer = here.with_name(f"{here.name}.dvc")
    if pointer.is_file():  # what `dvc add` keeps out of Git
        outs = parse_yaml(pointer.read_text(encoding="utf-8")).get("outs") or [{}]
        return str(outs[0].get("md5"))
    if here.is_file():
        return files.md5(here)
    if not here.is_dir():
        return None
    md5s = read_checksums(here)  # of what is not in Git
    found = files.list_files([here], root)
    if cloned and root == Path() and Path(path).is_relative_to(CODE):
        found = sorted({*tracked(Path(path))} & {*found})
    md5s |= {file.relative_to(here).as_posix(): files.md5(file) for file in found}
    listed = [{"md5": md5, "relpath": name} for name, md5 in md5s.items()]
    listed.sort(key=lambda entry: entry["relpath"])
    text = json.dumps(listed, sort_keys=True)
    return f"{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}.dir"


def find_cached(md5: str, cache_path: CachePath) -> Path | None:
    """Return where the cache has what has this checksum; None where it is missing or damaged.

    Args:
        md5: of a file, or, with `.dir` after it, of DVC's list of the files in a folder.
        cache_path: tells where the cache has what is called by an MD5.
    """
    path = Path(cache_path(md5)).absolute()
    whole = path.is_file() and files.md5(path) == md5.removesuffix(".dir")
    return path if whole else None


def link_cached_folder(folder: Path, md5: str, cache_path: CachePath) -> None:
    """Make a folder of links to its files in the cache, or none if the cache lacks any of them.

    Args:
        folder: that there is not yet.
        md5: of DVC's list of its files.
        cache_path: as for `find_cached`.
    """
    if (listing := find_cached(md5, cache_path)) is None:
        return
    entries = json.loads(listing.read_text(encoding="utf-8"))
    found = {folder / e["relpath"]: find_cached(e["md5"], cache_path) for e in entries}
    if all(found.values()):
        for path, target in found.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(str(target))
