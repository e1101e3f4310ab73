"""What of linked data DVC follows, which `data.dataset.require_followed` goes by."""

import json
from pathlib import Path

from tests.conftest import Clone

# Where a stage reads from, which path there is a link, and to what.
LINKS = {
    "linked_set": ("linked_set", "elsewhere"),
    "linked_file": ("linked_file/1.png", "files/1.png"),
    "linked_folder": ("linked_folder/a", "a"),
}
FOLLOWED = {"linked_set", "linked_file"}


def test_dvc_follows_linked_data_sets_and_files_but_no_folder_below(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "repository")
    clone.path.mkdir()
    clone.run("git", "init", "--quiet")
    clone.run("dvc", "init", "--quiet")
    stages = {}
    files = []
    for name, (link, target) in LINKS.items():
        file = tmp_path / target if "." in target else tmp_path / target / "1.png"
        file.parent.mkdir()
        file.write_bytes(b"before")
        (clone.path / link).parent.mkdir(exist_ok=True)
        (clone.path / link).symlink_to(tmp_path / target)
        (clone.path / name).mkdir(exist_ok=True)
        (clone.path / name / "2.png").touch()
        stages[name] = {"cmd": "echo read", "deps": [name]}
        files.append(file)
    (clone.path / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    clone.run("dvc", "repro")
    assert clone.run("dvc", "status", "--json").stdout == "{}\n"

    for file in files:
        file.write_bytes(b"after")

    assert json.loads(clone.run("dvc", "status", "--json").stdout).keys() == FOLLOWED
