"""The state of a training run after its last whole epoch, from which an interrupted run resumes.

DVC records what a stage has made when the stage is over. Until then, a kill or a full disk can
still lose it, so what was finished also stays here, until another training run starts.
"""

import hashlib
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from pipeline.core import files, params_file
from pipeline.core.declared_params import find_value, names_by_file
from pipeline.core.errors import PipelineError
from pipeline.core.stage import UNWIND_SECONDS

Arrays = dict[str, npt.NDArray[Any]]
# Beside DVC's own temporary files: no output, so that DVC neither removes nor caches it. In the
# temporary copies that `dvc exp run --temp` makes, this is the folder of the repository itself.
FOLDER = Path(os.environ.get("DVC_ROOT", "")) / ".dvc/tmp/checkpoints"
PACKAGES = ("keras", "numpy", "tensorflow")
# Not all of TF_, which is also Terraform's, and may be a secret there.
SETTINGS = (
    *("DNNL_", "NVIDIA_TF32_", "ONEDNN_", "TF_CUDNN_", "TF_DETERMINISTIC_", "TF_DISABLE_"),
    *("TF_ENABLE_", "TF_FORCE_", "TF_GPU_", "TF_NUM_", "TF_USE_", "TF_XLA_", "XLA_"),
)
DIGEST_SIZE = 32  # bytes of SHA-256, which stand before the arrays
PATIENCE = UNWIND_SECONDS + 5.0  # longer than a run whose DVC was killed takes to end


def identify_training() -> str:
    """Return a digest of all that decides what training makes.

    That is the params, data and code that dvc.yaml declares for it, and the packages and settings
    of TensorFlow. Of large arrays, their checksums stand for them.
    """
    declared = params_file.read_mapping(Path("dvc.yaml"))["stages"]["train"]
    given = [Path(dep) for dep in declared["deps"] if not dep.endswith(".npy")]
    content = {
        "params": [*_read_params(declared["params"])],
        "files": {str(path): files.md5(path) for path in files.list_files(given)},
        "environment": read_environment(),
    }
    return _digest(content)


def _read_params(entries: Iterable[str | Mapping[str, Any]]) -> Iterator[tuple[str, object]]:
    """Yield name and value of each param that `dvc.yaml` declares."""
    for path, names in names_by_file(entries).items():
        values = params_file.read_mapping(Path(path))
        yield from ((name, find_value(values, name)) for name in names or values)


def add_gpus(key: str) -> str:
    """Return the key of training on the GPUs that this process sees; others give other bits."""
    return _digest([key, os.environ.get("CUDA_VISIBLE_DEVICES")])


def read_environment() -> dict[str, str]:
    """Return the packages and settings that may change the bits of training, by their names."""
    return {name: version(name) for name in PACKAGES} | read_settings()


def read_settings() -> dict[str, str]:
    """Return the environment variables that may change the bits of training."""
    given = sorted(os.environ.items())
    return {name: value for name, value in given if name.startswith(SETTINGS)}


class Checkpoint:
    """The file for training runs of one key, locked while the block lasts.

    Files of other keys, which no run uses, are removed. Where another run of the same key is
    running, its end is waited for; if it does not end, nothing is read or written.

    Raises:
        PipelineError: the folder cannot be used, for example because it is another user's.
    """

    def __init__(self, key: str) -> None:
        self._path = FOLDER / f"{key}.checkpoint"
        self._done = self._path.with_suffix(".done")
        # Not of one thread: the epochs of several workers are written in another.
        self._lock = FileLock(self._path.with_suffix(".lock"), thread_local=False)

    def __enter__(self) -> Self:
        try:
            FOLDER.mkdir(parents=True, exist_ok=True)
            if not _acquire(self._lock):
                print(
                    f"{self._path}: another training run has it; waiting for it to end", flush=True
                )
                if not _acquire(self._lock, PATIENCE):
                    print("It is still running; this run keeps no checkpoint", flush=True)
            for lock_path in FOLDER.glob("*.lock"):
                lock = FileLock(lock_path)
                if lock_path != Path(self._lock.lock_file) and _acquire(lock):
                    _remove(*FOLDER.glob(f"*{lock_path.stem}.*"))  # also what is half written
                    lock.release()
        except OSError as error:
            raise PipelineError(
                f"{FOLDER}: checkpoints cannot be kept here: {error.strerror or error}"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def read(self) -> Arrays | None:
        """Return what was written last; None where training restarts.

        That is where there is nothing, or nothing whole, or where it was finished and DVC has what
        was made of it, or does not wait for it.
        """
        if not self._lock.is_locked:
            return None
        if self._done.is_file() and (
            "DVC_STAGE" not in os.environ
            or self._done.read_text(encoding="utf-8") in files.noted_outputs().values()
        ):
            _remove(self._path, self._done)
        saved = _unpack(self._path)
        if saved is None:  # a folder would be in the way of the next one
            _remove(self._path)
        return saved

    def finish(self, model: Path) -> None:
        """Say which model the training has made, whose digest tells when DVC has it."""
        if self._lock.is_locked:
            files.write_text(self._done, files.md5(model))

    def write(self, arrays: Arrays) -> None:
        """Put these in place of what was written before.

        Raises:
            PipelineError: it cannot be written, for example because the disk is full.
        """
        if self._lock.is_locked:
            packed = files.pack_arrays(arrays)
            files.write_bytes(self._path, hashlib.sha256(packed).digest() + packed)


def _unpack(path: Path) -> Arrays | None:
    """Return the arrays of a file, or None where it is not whole: that costs time only."""
    if not path.is_file():  # so that nothing else is opened, which might never end
        return None
    try:
        content = path.read_bytes()
        digest, packed = content[:DIGEST_SIZE], content[DIGEST_SIZE:]
        if hashlib.sha256(packed).digest() != digest:
            return None
        with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
            return dict(archive)
    except Exception:  # zipfile and NumPy have many for what a crafted file may hold
        return None


def _remove(*paths: Path) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _digest(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:32]


def _acquire(lock: FileLock, seconds: float = 0) -> bool:
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        return False
    return True
