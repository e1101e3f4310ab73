"""Reading arrays bit by bit."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pipeline.core.arrays import chunks, release, temporary_file
from pipeline.core.errors import PipelineError
from tests.conftest import ROOT

ROWS, ROW_SIZE = 300_000, 1000  # 300 MB
# Prints by how many MB the peak of this process grows while it reads all.
READ = f"""
import resource, sys
import numpy as np
from pipeline.core.arrays import chunks

array = np.memmap(sys.argv[1], np.uint8, "r", shape=({ROWS}, {ROW_SIZE}))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = sum(int(chunk.sum()) for chunk in chunks(array))
print(total, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) // 1024)
"""


@pytest.mark.parametrize("count", [0, 1, 10, 11, 20])
def test_chunks_are_the_array_in_parts(count: int) -> None:
    array = np.arange(2 * count).reshape(count, 2)

    parts = list(chunks(array, 10))

    assert [len(part) for part in parts[:-1]] == [10] * (len(parts) - 1)
    assert_array_equal(np.concatenate([array[:0], *parts]), array)


@pytest.mark.parametrize(
    ("shape", "sizes"),  # 4 MiB at a time
    [((5, 1024, 1024, 3), [1] * 5), ((3, 2**21), [2, 1]), ((3, 2**23), [1, 1, 1]), ((3,), [3])],
)
def test_many_small_or_few_large_ones_are_read_at_a_time(
    shape: tuple[int, ...], sizes: list[int]
) -> None:
    array = np.broadcast_to(np.uint8(0), shape)

    assert [len(part) for part in chunks(array)] == sizes


def test_file_is_still_there_when_its_memory_was_let_go(tmp_path: Path) -> None:
    np.arange(5000, dtype=np.uint8).tofile(tmp_path / "bytes")
    array = np.memmap(tmp_path / "bytes", np.uint8, "r", shape=(10, 500))[2:, :, None]
    before = array.tolist()

    release(array)

    assert array.tolist() == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory otherwise")
def test_file_larger_than_what_may_be_used_can_be_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(ROWS * ROW_SIZE)
        file.seek(-1, 2)
        file.write(b"\x07")

    command = [sys.executable, "-c", READ, str(tmp_path / "sparse")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    total, growth = map(int, run.stdout.split())
    assert total == 7
    assert growth < 100


def test_full_disk_is_said_and_what_else_fails_meanwhile_is_not_taken_for_it() -> None:
    for number, kind in ((errno.ENOSPC, PipelineError), (errno.EIO, OSError)):
        with pytest.raises(kind) as caught, temporary_file():
            raise OSError(number, os.strerror(number))
        assert ("a temporary file cannot be written" in str(caught.value)) is (
            number == errno.ENOSPC
        )
