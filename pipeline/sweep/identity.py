"""Which search is which: the same inputs resume the same one."""

import json
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from pipeline.core import files, params_file, splits
from pipeline.core.classes import CLASSES
from pipeline.core.params import PARAMS, flatten
from pipeline.provenance import state
from pipeline.provenance.params import Params
from pipeline.provenance.paths import CODE, STAGES
from pipeline.sweep.settings import SWEEP, Settings
from pipeline.training import checkpoint
from pipeline.training.params import TrainingSections

FOLDER = Path(".dvc/tmp/sweeps")
INPUTS = "inputs.json"
PACKAGES = (*checkpoint.PACKAGES, "optuna", "ray")


def identify_inputs(settings: Settings, params: Params) -> dict[str, str]:
    """Return a digest of each of the things that trials depend on, by its name.

    What evaluation and the counts of images ask for is none of them. Of the arrays, which were
    checked when they were read, their checksums stand for them.
    """
    stages = params_file.read_mapping(STAGES)["stages"]
    code = [Path(path) for path in stages["train"]["deps"] if Path(path).is_relative_to(CODE)]
    code = files.list_files([*code, CODE / "sweep"])
    prepared = [splits.TRAIN.checksums, splits.VAL.checksums, CLASSES]
    sections = TrainingSections.schemas()
    trained = {k: v for k, v in flatten(params).items() if k.partition(".")[0] in sections}
    installed = [name for name in PACKAGES if find_spec(name)]  # what is not is said later
    return {
        str(SWEEP): state.combine(settings.model_dump(), {}),
        str(PARAMS): state.combine(trained, {}),
        "the data": state.combine({}, {path: files.md5(path) for path in prepared}),
        "the code": state.combine({}, {path: files.md5(path) for path in code}),
        "the packages": state.combine({name: version(name) for name in installed}, {}),
        "TensorFlow's settings": state.combine(checkpoint.read_settings(), {}),
    }


def identify(inputs: dict[str, str]) -> str:
    """Return the id of a search."""
    return state.combine(inputs, {})[:7]


def open_folder(inputs: dict[str, str]) -> tuple[Path, list[str]]:
    """Return the folder of a search, and, if it is new, what differs from the last one."""
    folder = FOLDER / identify(inputs)
    if folder.exists():
        (folder / INPUTS).touch()  # the last one, from now on
        return folder, []
    changed = []
    known = sorted(FOLDER.glob(f"*/{INPUTS}"), key=lambda path: path.stat().st_mtime)
    if known:
        last = files.read_text(known[-1], json.loads)
        changed = [name for name, digest in inputs.items() if last.get(name) != digest]
    files.write_json(folder / INPUTS, inputs)
    return folder, changed
