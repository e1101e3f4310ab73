"""The state of the pipeline: the params and what came of them, known by one id."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.core import files
from pipeline.core.params import Sections, flatten
from pipeline.core.splits import SPLITS, TRAIN, VAL
from pipeline.data.params import PrepareParams
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.paths import ERRORS, EVALUATION
from pipeline.model.params import ModelParams
from pipeline.model.paths import MODEL
from pipeline.training.params import AugmentationParams, TrainParams

TRAINING_FILES = [TRAIN.images, TRAIN.labels, VAL.images, VAL.labels]
ARRAYS = [path for split in SPLITS.values() for path in (split.images, split.labels)]
STATE_FILES = [*ARRAYS, MODEL, EVALUATION, ERRORS]
STATE_ID = Path("data/state.txt")


class StateSections(Sections):
    """All of `params.yaml`: every param is part of the state."""

    prepare: PrepareParams
    model: ModelParams
    augmentation: AugmentationParams
    train: TrainParams
    evaluate: EvaluateParams


def identify(params: StateSections, paths: Sequence[Path]) -> str:
    """Return a digest of the params and of the content of `paths`.

    Of `STATE_FILES` it is the id of the state; of `TRAINING_FILES`, that of what training is given.

    Raises:
        DataError: a file cannot be read.
    """
    return combine(flatten(params), {path: files.md5(path) for path in paths})


NEUTRAL = StateSections.neutral_values()


def is_neutral(name: str, value: object) -> bool:
    """Tell whether a param, by its dotted name, has the value of those states that lack it."""
    return name in NEUTRAL and NEUTRAL[name] == value


def combine(params: Mapping[str, object], digests: Mapping[Path, str]) -> str:
    """Return the digest of params by their dotted names and of the MD5 of files by their paths.

    A param at its neutral value does not count: states that lack it keep their ids.
    """
    content = {
        "params": {name: value for name, value in params.items() if not is_neutral(name, value)},
        "files": {path.as_posix(): digest for path, digest in digests.items()},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
