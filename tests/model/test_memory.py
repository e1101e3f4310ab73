"""What a network needs at the least, and what is refused before work."""

from pathlib import Path

import psutil
import pytest

from pipeline.model.memory import machine_bytes, require_room, training_bytes
from tests.model.test_feature_maps import make

SHAPE = (28, 28, 1)
GB = 10**9


def test_weights_their_gradients_and_the_values_of_a_batch_count() -> None:
    # Convolutions 3x3 to 26x26 and 24x24, pooling to 12x12, then a dense layer and the output.
    weights = 9 * 1 * 4 + 9 * 4 * 8 + 12 * 12 * 8 * 16 + 16 * 10
    values = 26 * 26 * 4 + 24 * 24 * 8 + 16 + 10

    found = training_bytes(make([[4, 8]], 3, dense_units=[16]), SHAPE, 10, 64)

    assert found == 4 * (2 * weights + 64 * values)


def test_values_take_half_as_much_in_bfloat16_but_weights_do_not() -> None:
    weights, values = 9 * 1 * 4 + 13 * 13 * 4 * 10, 26 * 26 * 4 + 10

    found = training_bytes(make([[4]], 3, dense_units=[]), SHAPE, 10, 64, "mixed_bfloat16")

    assert found == 4 * 2 * weights + 2 * 64 * values


def test_residual_blocks_keep_the_size() -> None:
    weights = 9 * 1 * 4 + 14 * 14 * 4 * 10
    values = 28 * 28 * 4 + 10

    found = training_bytes(make([[4]], 3, dense_units=[], residual=True), SHAPE, 10, 1)

    assert found == 4 * (2 * weights + values)


@pytest.mark.parametrize(
    ("conv_blocks", "dense_units", "message"),
    [
        ([[8]], [10**9], "training takes at least 11,152.0 GB of memory, and this machine has 8.0"),
        ([[10**6]], [], "training takes at least 186.6 GB of memory, and this machine has 8.0"),
        ([[1] * 1001], [], "has 1,001 layers, at most 1,000 are allowed"),
        ([], [1] * 3000, "has 3,000 layers, at most 1,000 are allowed"),
        ([[8]] * 6, [], "leaves nothing of images of 28x28 pixels"),
    ],
)
def test_what_no_machine_can_train_is_refused(
    conv_blocks: list[list[int]], dense_units: list[int], message: str
) -> None:
    params = make(conv_blocks, 3, dense_units=dense_units)
    with pytest.raises(ValueError, match=f"^model.*{message}"):
        require_room(params, SHAPE, 10, 64, 8 * GB)


def test_what_fits_is_allowed() -> None:
    require_room(make([[32], [64, 64]], 3, dense_units=[128]), SHAPE, 10, 64, GB)


@pytest.mark.parametrize(
    ("texts", "limit"),
    [
        (["536870912"], 2**29),
        (["max"], None),
        (["max", "536870912"], 2**29),
        (["9223372036854771712"], None),  # what version 1 has where nothing is limited
        ([], None),
    ],
)
def test_a_container_has_its_limit(tmp_path: Path, texts: list[str], limit: int | None) -> None:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}").write_text(f"{text}\n")
    found = machine_bytes([tmp_path / "0", tmp_path / "1"])
    assert found == (limit or psutil.virtual_memory().total)
