"""A repository with states that no pipeline has made: what a report reads, and nothing else."""

import atexit
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml  # type: ignore[import-untyped]  # reads a lock twenty times as fast as ruamel.yaml

from pipeline.core.package import PACKAGE
from pipeline.provenance.recorded import read_recorded
from tests.conftest import FROZEN, ROOT, Clone

KEPT = (
    ".dvc",
    ".dvcignore",
    ".gitignore",
    "data",
    "dvc.yaml",
    "metrics/.gitignore",
    "models",
    "params.yaml",
    PACKAGE,
    "requirements",
)
METRICS = Path(__file__).parent / "data/review_metrics"  # of a base with 422 errors in 10,000
SPLITS = "data/prepared"
STATE_ID = "data/state.txt"
OUTPUTS = ("outs", "metrics", "plots")


class ReviewRepository(Clone):
    """A clone of the committed files, with metrics that tests make up, and the lock with them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        shutil.copytree(_base(), path, symlinks=True, dirs_exist_ok=True)

    def change_errors(self, fixed: int = 0, broken: int = 0) -> None:
        """Let as many of the misclassified images be right, and as many others be wrong."""
        errors = self.errors()
        others = sorted(set(range(self.evaluation()["samples"])) - set(errors["image"]))[:broken]
        new = pd.DataFrame({"image": others, "label": 7, "predicted": 1, "probability": 0.875})
        changed = pd.concat([errors.iloc[fixed:], new]).sort_values("image")
        changed.to_csv(self.path / "metrics/errors.csv", index=False, float_format="%.6f")
        samples = self.evaluation()["samples"]
        accuracy = round(1 - len(changed) / samples, 6)
        self.edit_evaluation(errors=len(changed), accuracy=accuracy)
        self.relock(**{"models/model.keras": f"{fixed} fixed, {broken} broken"})

    def change_test_images(self, samples: int, errors: int) -> None:
        """Let the first images be the test images, and the first of these be misclassified."""
        labels = [image % 10 for image in range(errors)]
        made_up = pd.DataFrame({"image": range(errors), "label": labels})
        made_up["predicted"], made_up["probability"] = (made_up["label"] + 1) % 10, 0.875
        made_up.to_csv(self.path / "metrics/errors.csv", index=False, float_format="%.6f")
        accuracy = round(1 - errors / samples, 6)
        self.edit_evaluation(errors=errors, accuracy=accuracy, samples=samples)
        path = self.path / "metrics/dataset.json"
        described = json.loads(path.read_text())
        (test,) = (split for split in described["splits"] if split["split"] == "test")
        test["samples"] = samples
        test["classes"] = {str(label): samples // 10 for label in range(10)}
        path.write_text(json.dumps(described))
        self.edit_params({"prepare.test_samples": samples})
        self.relock(**{f"{SPLITS}/test_images.npy": str(samples)})

    def record_seeds(self, accuracies: Sequence[float], state: str) -> None:
        """Write `metrics/seeds.json` for runs of which the first is this state."""
        from pipeline.provenance.spread import SeedRun, summarise

        states = [state, *(hashlib.md5(str(a).encode()).hexdigest() for a in accuracies[1:])]
        runs = [
            SeedRun(seed=seed, accuracy=accuracy, state=run_state)
            for seed, (accuracy, run_state) in enumerate(zip(accuracies, states, strict=True))
        ]
        spread = summarise(state, runs, 0.95)
        (self.path / "metrics/seeds.json").write_text(spread.model_dump_json())

    def evaluation(self) -> dict[str, Any]:
        """Return what `metrics/evaluation.json` holds."""
        values: dict[str, Any] = json.loads((self.path / "metrics/evaluation.json").read_text())
        return values

    def edit_evaluation(self, **changes: object) -> None:
        """Change values of `metrics/evaluation.json`."""
        path = self.path / "metrics/evaluation.json"
        path.write_text(json.dumps(self.evaluation() | changes, indent=2) + "\n")

    def errors(self) -> pd.DataFrame:
        """Return what `metrics/errors.csv` holds."""
        return pd.read_csv(self.path / "metrics/errors.csv")

    def relock(self, **made: str) -> None:
        """Make `dvc.lock` that of the files, the params, and outputs that were remade."""
        lock = _load(self.path / "dvc.lock")
        params = _load(self.path / "params.yaml")
        for stage in lock["stages"].values():
            for item in _items(stage):
                path = self.path / item["path"]
                if item["path"] in made:
                    item["md5"] = hashlib.md5(made[item["path"]].encode()).hexdigest()
                elif path.is_file():
                    item["md5"] = hashlib.md5(path.read_bytes()).hexdigest()
                elif path.is_dir():
                    item["md5"] = _digest_folder(path)
            locked = stage["params"]["params.yaml"]
            for name in locked:
                section, _, key = name.partition(".")
                locked[name] = params[section][key] if key else params[section]
        self._write_lock(lock)
        noted = f"{read_recorded(self.path).state_id}\n"
        for out in lock["stages"]["plot"]["outs"]:
            if out["path"] == STATE_ID and STATE_ID not in made:
                out["md5"] = hashlib.md5(noted.encode()).hexdigest()
        self._write_lock(lock)

    def _write_lock(self, lock: object) -> None:
        text = yaml.dump(lock, Dumper=yaml.CSafeDumper, sort_keys=False)
        (self.path / "dvc.lock").write_text(text)


class _Base(ReviewRepository):
    def __init__(self, path: Path) -> None:
        Clone.__init__(self, path)
        listed = subprocess.run(
            ["git", "ls-files", "-z", *KEPT], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in filter(None, listed.stdout.split("\0")):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(FROZEN.get(name, ROOT / name), path / name)
        shutil.copytree(METRICS, path / "metrics", dirs_exist_ok=True)
        self.run("git", "init", "--quiet", "--initial-branch", "main")
        self._lock()
        self.relock()
        self.commit("Base")

    def _lock(self) -> None:
        """Let DVC write the lock, of outputs that no stage has made where they are not metrics."""
        stages = _load(self.path / "dvc.yaml")["stages"].values()
        declared = [out for stage in stages for kind in OUTPUTS for out in stage.get(kind, [])]
        names = [out if isinstance(out, str) else next(iter(out)) for out in declared]
        paths = [self.path / name for name in names]
        folders = [path for path in paths if not path.suffix]
        pictures = [folder / name for folder in folders for name in ("accuracy.png", "loss.png")]
        for path in [*pictures, *(path for path in paths if path.suffix)]:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{path.name} of the base")
        self.run("dvc", "commit", "--quiet", "--force")
        self.run("git", "clean", "--quiet", "--force", "-d", "-X")  # what is not in Git
        written = _load(self.path / "dvc.lock")
        self.relock(**{STATE_ID: "state.txt of the base"})
        assert _load(self.path / "dvc.lock") == written


@cache
def _base() -> Path:
    """Return where the base is, which is made once."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    return _Base(Path(folder) / "repository").path


def _load(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    return values


def _digest_folder(folder: Path) -> str:
    """Return the MD5 that DVC has for a folder; the base's lock, which it wrote, shows the same."""
    files = (path for path in folder.rglob("*") if path.is_file())
    listed = [
        {
            "md5": hashlib.md5(path.read_bytes()).hexdigest(),
            "relpath": path.relative_to(folder).as_posix(),
        }
        for path in sorted(files, key=lambda path: path.relative_to(folder).as_posix())
    ]
    return f"{hashlib.md5(json.dumps(listed).encode()).hexdigest()}.dir"


def _items(stage: Mapping[str, Any]) -> Iterable[dict[str, str]]:
    return [*stage["deps"], *stage["outs"]]
