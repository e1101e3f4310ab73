"""What `evaluate` saw comes to `plot` as it was, in the same bytes at any time."""

import time
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pipeline.core.errors import DataError
from pipeline.evaluation.observations import (
    Observations,
    quantize,
    read_observations,
    write_observations,
)


def make(maps: list[str]) -> Observations:
    random = np.random.default_rng(0)
    return Observations(
        kernel=random.random((3, 3, 3, 4), np.float32),
        attributions=random.random((0, 2, 8, 8, 3), np.float32),
        margins=random.random(9, np.float32),
        rivals=random.integers(0, 5, 9),
        followed=np.array([3, 1]),
        maps={
            name: random.integers(-127, 128, (2, 6, 6, 4), np.int8)
            if name.startswith("block")
            else random.integers(0, 256, (2, 6, 6, 4), np.uint8)
            for name in maps
        },
    )


@pytest.mark.parametrize("maps", [["conv1_1", "pool1", "block2/conv"], []])
def test_observations_are_read_as_they_were_written(tmp_path: Path, maps: list[str]) -> None:
    path, written = tmp_path / "observations.npz", make(maps)
    write_observations(path, written)

    read = read_observations(path)

    assert list(read.maps) == maps
    for name in maps:
        assert_array_equal(read.maps[name], written.maps[name], strict=True)
    for mine, theirs in zip(read[:-1], written[:-1], strict=True):
        assert_array_equal(mine, theirs, strict=True)


def test_written_later_they_have_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    write_observations(first, make(["conv1_1"]))
    an_hour_later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: an_hour_later)  # which zipfile asks
    write_observations(second, make(["conv1_1"]))
    assert first.read_bytes() == second.read_bytes()


def test_missing_file_and_other_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "observations.npz"
    with pytest.raises(DataError, match=r"cannot be read: No such file.*`dvc repro`"):
        read_observations(path)
    np.savez(path, kernel=np.zeros(3))
    with pytest.raises(DataError, match=r"is damaged .*missing .*`dvc repro`"):
        read_observations(path)


def test_levels_go_to_the_largest_value_of_each_image() -> None:
    maps = np.array([[0, 1, 2], [0, 10, 5], [0, 0, 0]], np.float32).reshape(3, 1, 1, 3)
    levels = quantize(maps)
    assert_array_equal(levels.reshape(3, 3), [[0, 128, 255], [0, 255, 128], [0, 0, 0]])
    assert levels.dtype == np.uint8


def test_levels_of_a_layer_with_negative_values_have_a_sign() -> None:
    maps = np.array([[-2, 0, 1], [-1, 10, 5], [0, 0, 0]], np.float32).reshape(3, 1, 1, 3)
    levels = quantize(maps)
    assert_array_equal(levels.reshape(3, 3), [[-127, 0, 64], [-13, 127, 64], [0, 0, 0]])
    assert levels.dtype == np.int8
