"""What of linked data DVC follows, which `data.dataset.require_followed` goes by."""

from pathlib import Path

import pytest

from tests.conftest import Clone

STAGE = "stages: {read: {cmd: echo read, deps: [raw]}}\n"


@pytest.mark.parametrize(
    ("link", "target", "is_followed"),
    [("raw", "elsewhere", True), ("raw/1.png", "a/1.png", True), ("raw/a", "a", False)],
    ids=["data set", "file", "folder of a data set"],
)
def test_dvc_follows_linked_data_sets_and_files_but_no_folder_below(
    tmp_path: Path, link: str, target: str, is_followed: bool
) -> None:
    clone = Clone(tmp_path / "repository")
    clone.path.mkdir()
    clone.run("git", "init", "--quiet")
    clone.run("dvc", "init", "--quiet")
    file = tmp_path / target / "1.png" if "." not in target else tmp_path / target
    file.parent.mkdir()
    file.write_bytes(b"before")
    (clone.path / link).parent.mkdir(exist_ok=True)
    (clone.path / link).symlink_to(tmp_path / target)
    (clone.path / "raw").mkdir(exist_ok=True)
    (clone.path / "raw/2.png").touch()
    (clone.path / "dvc.yaml").write_text(STAGE)
    clone.run("dvc", "repro")

    file.write_bytes(b"after")

    changed = "up to date" not in clone.run("dvc", "status").stdout
    assert changed == is_followed
