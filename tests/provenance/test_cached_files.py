"""Files and folders have the MD5 that DVC gives them."""

import shutil
import subprocess
from pathlib import Path

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from pipeline.provenance.cached_files import digest

LEFT = ("__pycache__/a.pyc", ".ipynb_checkpoints/a.py", "a.py~", ".a.py.swp", ".DS_Store")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of code in the current folder, with what editors and Python leave."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / ".dvcignore", tmp_path)
    folder = Path("pipeline/model")
    for name in ("__init__.py", "network.py", "parts/block.py", *LEFT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    return folder


def ask_dvc(folder: Path, there: Path) -> str:
    """Return the MD5 by which DVC calls a copy of a folder, in a repository of its own."""
    shutil.copytree(folder.parent, there / folder.parent)
    shutil.copy(".dvcignore", there)
    with Repo.init(str(there), no_scm=True) as repo:
        repo.add(str(there / folder))
    pointer = YAML(typ="safe").load(there / f"{folder}.dvc")
    md5: str = pointer["outs"][0]["md5"]
    return md5


def test_folder_of_a_commit_has_the_md5_that_dvc_gives_it(code: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()

    assert digest(tmp_path, code) == ask_dvc(code, there)


def test_in_the_working_tree_what_git_tracks_counts(code: Path, tmp_path: Path) -> None:
    as_committed = digest(tmp_path, code)
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(["git", "add", "--", *(str(path) for path in code.rglob("*.py"))], check=True)
    subprocess.run(["git", "rm", "-rq", "--cached", str(code / ".ipynb_checkpoints")], check=True)
    (code / "notes.txt").write_text("for me")

    assert digest(Path(), code) == as_committed

    (code / "network.py").write_text("changed")
    assert digest(Path(), code) != as_committed


def test_what_is_not_there_has_no_md5(tmp_path: Path) -> None:
    assert digest(tmp_path, "pipeline/model") is None
