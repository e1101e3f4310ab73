"""Describing the chosen images."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy

from pipeline.core.arrays import Split
from pipeline.data.dataset import read_dataset
from pipeline.data.description import class_balance, describe
from pipeline.data.params import PrepareParams
from pipeline.prepare import select_splits

DIGITS = [str(digit) for digit in range(10)]
MNIST = Path(__file__).parents[2] / "data" / "raw" / "mnist"


def random_split(seed: int, count: int) -> Split:
    rng = np.random.default_rng(seed)
    return Split(
        rng.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8),
        rng.integers(0, 10, count, dtype=np.uint8),
    )


def blank_split(*pixels: int) -> Split:
    """One image for each value in `pixels`, which all its pixels have, labelled 0, 1, 2..."""
    images = np.broadcast_to(
        np.array(pixels, np.uint8)[:, None, None, None], (len(pixels), 28, 28, 1)
    )
    return Split(images.copy(), np.arange(len(pixels), dtype=np.uint8))


def described(**splits: Split) -> dict[str, Any]:
    return describe(splits, DIGITS)


def test_description_of_a_hand_computed_case() -> None:
    no_class = {str(label): 0 for label in range(10)}
    description = described(
        train=Split(blank_split(0, 255).images, np.array([4, 4], np.uint8)),
        val=blank_split(51),
        test=blank_split(255, 51, 51, 102),
    )

    # Of 1, 0.2, 0.2 and 0.4 the mean is 0.45 and the variance
    # (0.55**2 + 2 * 0.25**2 + 0.05**2) / 4 = 0.1075.
    assert description["splits"] == [
        {
            "split": "train",
            "samples": 2,
            "classes": no_class | {"4": 2},
            "smallest_class": 0,
            "largest_class": 2,
            "class_balance": 0.0,
            "pixel_mean": 0.5,
            "pixel_std": 0.5,
            "constant_images": 2,
            "repeated_images": 0,
            "ambiguous_images": 1,  # that of 255, which is a 0 in the test split
        },
        {
            "split": "val",
            "samples": 1,
            "classes": no_class | {"0": 1},
            "smallest_class": 0,
            "largest_class": 1,
            "class_balance": 0.0,
            "pixel_mean": 0.2,
            "pixel_std": 0.0,
            "constant_images": 1,
            "repeated_images": 0,
            "ambiguous_images": 1,
        },
        {
            "split": "test",
            "samples": 4,
            "classes": no_class | {"0": 1, "1": 1, "2": 1, "3": 1},
            "smallest_class": 0,
            "largest_class": 1,
            "class_balance": 0.60206,  # log 4 / log 10
            "pixel_mean": 0.45,
            "pixel_std": 0.327872,
            "constant_images": 4,
            "repeated_images": 1,
            "ambiguous_images": 3,
        },
    ]
    assert description["val_images_also_in"] == {"train": 0}
    assert description["test_images_also_in"] == {"train": 1, "val": 2}
    assert json.loads(json.dumps(description)) == description


@pytest.mark.parametrize("counts", [[5, 5], [1, 99], [3, 0, 7], [172, 191, 224, 180]])
def test_class_balance_is_the_entropy_in_terms_of_the_number_of_classes(counts: list[int]) -> None:
    assert class_balance(counts) == pytest.approx(entropy(counts, base=len(counts)))


def test_image_of_one_colour_is_constant_and_one_pixel_is_enough_not_to_be() -> None:
    images = np.zeros((3, 4, 5, 3), np.uint8)
    images[0] = (10, 20, 30)
    images[1] = 7
    images[2, 3, 4, 2] = 1
    split = Split(images, np.zeros(3, np.uint8))

    description = described(train=split, val=split, test=split)

    assert description["splits"][0]["constant_images"] == 2


@pytest.mark.parametrize("count", [1, 999, 1000, 1001, 2500])
def test_pixel_statistics_agree_with_numpy(count: int) -> None:
    split = random_split(seed=count, count=count)

    summary = described(train=split, val=split, test=split)["splits"][0]

    scaled = split.images / 255
    assert summary["pixel_mean"] == pytest.approx(scaled.mean(), abs=5.1e-7)
    assert summary["pixel_std"] == pytest.approx(scaled.std(), abs=5.1e-7)
    assert summary["pixel_mean"] == round(summary["pixel_mean"], 6)
    assert summary["pixel_std"] == round(summary["pixel_std"], 6)


def test_only_exact_duplicates_count() -> None:
    test = random_split(seed=0, count=4)
    train = Split(test.images[[0, 2]], test.labels[[0, 2]])
    train.images[1, 13, 17, 0] ^= 1

    description = described(train=train, val=random_split(seed=1, count=3), test=test)

    assert description["test_images_also_in"] == {"train": 1, "val": 0}
    assert description["val_images_also_in"] == {"train": 0}
    for split in description["splits"]:
        assert split["constant_images"] == split["repeated_images"] == 0
        assert split["ambiguous_images"] == 0


def test_same_image_with_another_label_is_ambiguous_in_every_split() -> None:
    val, test = random_split(seed=0, count=5), random_split(seed=1, count=5)
    train = Split(val.images[[0, 0, 1]], val.labels[[0, 0, 1]])
    train.labels[1] = (train.labels[1] + 1) % 10

    description = described(train=train, val=val, test=test)

    assert [split["ambiguous_images"] for split in description["splits"]] == [2, 1, 0]
    assert [split["repeated_images"] for split in description["splits"]] == [1, 0, 0]
    assert description["val_images_also_in"] == {"train": 2}


def test_describing_needs_little_memory() -> None:
    split, small = random_split(seed=0, count=5000), random_split(seed=1, count=1)
    tracemalloc.start()

    described(train=small, val=small, test=split)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * split.images.nbytes


def test_mnist_has_the_published_pixel_statistics() -> None:
    asked = PrepareParams(
        dataset="mnist",
        image_size=None,
        train_samples=60000,
        val_samples=10000,
        val_from="test",
        test_samples=10000,
        test_fraction=None,
    )

    description = described(**select_splits(read_dataset(MNIST, None), asked))

    assert description["splits"][0]["pixel_mean"] == pytest.approx(0.1307, abs=5e-5)
    assert description["splits"][0]["pixel_std"] == pytest.approx(0.3081, abs=5e-5)
    assert description["test_images_also_in"] == {"train": 0, "val": 10000}


def test_large_images_are_not_all_in_memory_at_once(tmp_path: Path) -> None:
    images = np.memmap(tmp_path / "sparse", np.uint8, "w+", shape=(40, 1024, 1024, 3))  # 126 MB
    split = Split(images, np.arange(40, dtype=np.uint8) % 2)
    tracemalloc.start()

    found: Any = describe({"train": split, "val": split, "test": split}, ["dark", "bright"])

    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()
    assert [of_split["constant_images"] for of_split in found["splits"]] == [40, 40, 40]
