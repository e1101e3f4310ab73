"""The state of the pipeline: the params and what came of them, known by one id."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.core import files, splits
from pipeline.paths import ERRORS, EVALUATION, MODEL
from pipeline.provenance.params import Params, flatten

ARRAYS = [path for name in splits.NAMES for path in splits.array_paths(name)]
TRAINING_FILES = [*splits.array_paths("train"), *splits.array_paths("val")]
STATE_FILES = [*ARRAYS, MODEL, EVALUATION, ERRORS]


def identify(params: Params, paths: list[Path]) -> str:
    """Return a digest of the params and of the content of `paths`.

    Of `STATE_FILES` it is the id of the state; of `TRAINING_FILES`, that of what training is given.

    Raises:
        DataError: a file cannot be read.
    """
    return combine(flatten(params), {path: files.md5(path) for path in paths})


def combine(params: Mapping[str, object], digests: Mapping[Path, str]) -> str:
    """Return the digest of params by their dotted names and of the MD5 of files by their paths."""
    content = {
        "params": params,
        "files": {path.as_posix(): digest for path, digest in digests.items()},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
