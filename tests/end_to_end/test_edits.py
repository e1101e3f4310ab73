"""An edit reruns what it is about, and nothing else."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from pipeline.core.package import PACKAGE
from tests.conftest import Clone

Edit = Callable[[], None]
NOTHING: set[str] = set()


def append(*paths: str) -> Edit:
    """Change modules, or make new ones."""

    def edit() -> None:
        for path in paths:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with Path(path).open("a") as file:
                file.write("# changed\n")

    return edit


def set_value(path: str, name: str, value: object) -> Edit:
    """Give a key of a YAML file another value, or add it; dots separate nested keys."""

    def edit() -> None:
        yaml = YAML()
        document = yaml.load(Path(path))
        *sections, key = name.split(".")
        place = document
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
        yaml.dump(document, Path(path))

    return edit


def insert(path: str, before: str, text: str) -> None:
    content = Path(path).read_text()
    assert content.count(before) == 1
    Path(path).write_text(content.replace(before, f"{text}{before}"))


def add_param() -> None:
    """Add a param of training, at its neutral value."""
    field = "    trial_param: float | None = neutral(None, gt=0)\n"
    insert("pipeline/training/params.py", "    seed: int", field)
    import_line = "from pipeline.core.params import neutral\n"
    insert("pipeline/training/params.py", "from pipeline.model.params", import_line)
    set_value("params.yaml", "train.trial_param", None)()


def add_section_and_stage() -> None:
    """Add a stage with params of its own, which are part of the state."""
    schema = (
        '"""Params of the new stage."""\n\nfrom pipeline.core.params import Strict\n\n\n'
        'class TrialStageParams(Strict):\n    """How far images are moved."""\n\n    shift: int\n'
    )
    for name, text in (("__init__", '"""A new stage."""\n'), ("params", schema)):
        Path("pipeline/trial_stage").mkdir(exist_ok=True)
        Path(f"pipeline/trial_stage/{name}.py").write_text(text)
    append("pipeline/trial.py")()
    import_line = "from pipeline.trial_stage.params import TrialStageParams\n"
    insert("pipeline/provenance/state.py", "from pipeline.training.params", import_line)
    insert(
        "pipeline/provenance/state.py",
        "    evaluate: EvaluateParams",
        "    trial_stage: TrialStageParams\n",
    )
    set_value("params.yaml", "trial_stage.shift", 1)()
    stage = {
        "cmd": "python -m pipeline.robust",
        "deps": ["models/model.keras", "pipeline/trial.py", "pipeline/trial_stage"],
        "params": ["trial_stage"],
        "metrics": [{"metrics/trial_stage.json": {"cache": False}}],
    }
    set_value("dvc.yaml", "stages.robust", stage)()


EDITS: dict[str, tuple[Edit, set[str]]] = {
    "a param of train is added": (add_param, {"train", "plot"}),
    "a section and a stage are added": (add_section_and_stage, {"robust", "plot"}),
    "a param of another section": (
        set_value("params.yaml", "evaluate.confidence", 0.9),
        {"evaluate", "plot"},
    ),
    "the number of test images": (
        set_value("params.yaml", "prepare.test_samples", 200),
        {"prepare", "plot"},
    ),
    "a metric": (append("pipeline/evaluation/scores.py"), {"evaluate", "plot"}),
    "a figure": (append("pipeline/figures/curves.py"), {"plot"}),
    "a new figure": (append("pipeline/figures/new.py"), {"plot"}),
    "a reader of raw data": (append("pipeline/data/csv_folder.py"), {"prepare"}),
    "how a state's id is made": (append("pipeline/provenance/state.py"), {"plot"}),
    "the schema of prepare": (append("pipeline/data/params.py"), {"prepare", "plot"}),
    "the schema of the model": (
        append("pipeline/model/params.py"),
        {"train", "evaluate", "plot"},
    ),
    "the schema of train": (append("pipeline/training/params.py"), {"train", "plot"}),
    "the optimizer": (append("pipeline/training/optimization.py"), {"train"}),
    "another version of Keras": (
        set_value("requirements/versions.yaml", "keras", "9.9"),
        {"train", "evaluate"},
    ),
    "another version of matplotlib": (
        set_value("requirements/versions.yaml", "matplotlib", "9.9"),
        {"plot"},
    ),
    "what changes no output": (
        append(
            *("pipeline/tracking/content.py", "pipeline/review/wording.py", "pipeline/publish.py"),
            *("pipeline/statistics/paired.py", "pipeline/experiments/table.py", "pipeline/new.py"),
            *("pipeline/sweep/space.py", "pipeline/explore/page.py", "pipeline/report.py"),
            *("pipeline/provenance/params.py", "pipeline/provenance/results.py"),
        ),
        NOTHING,
    ),
    "what editors and Python leave": (
        append(
            *("pipeline/core/__pycache__/a.pyc", "pipeline/core/.ipynb_checkpoints/a.py"),
            *("pipeline/core/.files.py.swp", "pipeline/core/files.py~", "pipeline/.DS_Store"),
        ),
        NOTHING,
    ),
}


@pytest.fixture(scope="module")
def edited(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone that is put back after each edit."""
    return reproduced.copy_to(tmp_path_factory.mktemp("edits") / "repository")


@pytest.fixture
def in_edited(edited: Clone, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(edited.path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", edited.env["DVC_SITE_CACHE_DIR"])
    yield
    edited.run("git", "checkout", "--quiet", ".")
    edited.run("git", "clean", "--quiet", "-d", "--force", PACKAGE)


@pytest.mark.usefixtures("in_edited")
@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reruns_what_it_is_about(name: str) -> None:
    edit, stages = EDITS[name]
    edit()

    with Repo() as repo:  # those whose own params, code or data changed; others may follow
        assert set(repo.status()) == stages


@pytest.mark.usefixtures("in_edited")
def test_a_param_at_its_neutral_value_changes_no_byte_no_id_and_no_run(edited: Clone) -> None:
    before = edited.read()
    del before["dvc.lock"]
    runs = read_runs(edited)
    add_param()

    edited.run("dvc", "repro")

    after = edited.read()
    assert "trial_param" in after.pop("dvc.lock").decode()
    assert after == before
    assert read_runs(edited) == runs


def read_runs(clone: Clone) -> list[tuple[str, str, str]]:
    """Return the runs that MLflow shows: their ids, how they ended, and the ids of their states."""
    with closing(sqlite3.connect(clone.path / "mlflow.db")) as database:
        return database.execute(
            "SELECT runs.run_uuid, status, value FROM runs LEFT JOIN tags "
            "ON tags.run_uuid = runs.run_uuid AND tags.key = 'state' "
            "WHERE lifecycle_stage = 'active'"
        ).fetchall()
