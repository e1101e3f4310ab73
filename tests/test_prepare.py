"""Choosing and describing the splits."""

import json
import tracemalloc
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from pipeline.arrays import Split
from pipeline.dataset import Dataset, read_dataset
from pipeline.errors import DataError
from pipeline.params import PrepareParams
from pipeline.prepare import describe, select_splits

DIGITS = [str(digit) for digit in range(10)]
MNIST = Path(__file__).parents[1] / "data" / "raw" / "mnist"


def raw_split(count: int, first_pixel: int) -> Split:
    """`count` images; all pixels of image i are `first_pixel + i`, its label is i modulo 10."""
    pixels = np.arange(first_pixel, first_pixel + count, dtype=np.uint8)
    images = np.broadcast_to(pixels[:, None, None, None], (count, 28, 28, 1))
    return Split(images.copy(), np.arange(count, dtype=np.uint8) % 10)


def params(
    train: int, val: int, test: int, val_from: Literal["train", "test"] = "train"
) -> PrepareParams:
    return PrepareParams(
        image_size=None,
        dataset="tiny",
        train_samples=train,
        val_samples=val,
        val_from=val_from,
        test_samples=test,
    )


def first_pixels(split: Split) -> list[int]:
    pixels: list[int] = split.images[:, 0, 0, 0].tolist()
    return pixels


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


@pytest.fixture
def tiny() -> Dataset:
    """Twelve training images with pixels 0 to 11, five test images with pixels 100 to 104."""
    return Dataset(Path("data/raw/tiny"), DIGITS, train=raw_split(12, 0), test=raw_split(5, 100))


def test_validation_images_follow_the_training_images(tiny: Dataset) -> None:
    splits = select_splits(tiny, params(train=6, val=3, test=4))

    assert list(splits) == ["train", "val", "test"]
    assert first_pixels(splits["train"]) == [0, 1, 2, 3, 4, 5]
    assert first_pixels(splits["val"]) == [6, 7, 8]
    assert first_pixels(splits["test"]) == [100, 101, 102, 103]


def test_validation_images_can_come_from_the_test_split(tiny: Dataset) -> None:
    splits = select_splits(tiny, params(train=6, val=3, test=4, val_from="test"))

    assert first_pixels(splits["train"]) == [0, 1, 2, 3, 4, 5]
    assert first_pixels(splits["val"]) == [100, 101, 102]
    assert first_pixels(splits["test"]) == [100, 101, 102, 103]


def test_labels_stay_with_their_images(tiny: Dataset) -> None:
    splits = select_splits(tiny, params(train=8, val=4, test=5))

    assert splits["train"].labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert splits["val"].labels.tolist() == [8, 9, 0, 1]
    assert splits["test"].labels.tolist() == [0, 1, 2, 3, 4]


def test_images_stay_unsigned_bytes(tiny: Dataset) -> None:
    for split in select_splits(tiny, params(train=6, val=3, test=3)).values():
        assert split.images.shape == (len(split.labels), 28, 28, 1)
        assert split.images.dtype == split.labels.dtype == np.uint8


@pytest.mark.parametrize("val_from", ["train", "test"])
def test_all_images_can_be_asked_for(tiny: Dataset, val_from: Literal["train", "test"]) -> None:
    train, val = (9, 3) if val_from == "train" else (12, 5)

    splits = select_splits(tiny, params(train, val, test=5, val_from=val_from))

    counts = {name: len(split.images) for name, split in splits.items()}
    assert counts == {"train": train, "val": val, "test": 5}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            params(train=10, val=3, test=5),
            "the raw train split has 12 images, but prepare.train_samples and "
            "prepare.val_samples together ask for 13: "
            "lower prepare.train_samples or prepare.val_samples",
        ),
        (
            params(train=13, val=1, test=5, val_from="test"),
            "the raw train split has 12 images, but prepare.train_samples asks for 13: "
            "lower prepare.train_samples",
        ),
        (
            params(train=12, val=6, test=5, val_from="test"),
            "the raw test split has 5 images, but prepare.val_samples asks for 6: "
            "lower prepare.val_samples",
        ),
        (
            params(train=6, val=3, test=6),
            "the raw test split has 5 images, but prepare.test_samples asks for 6: "
            "lower prepare.test_samples",
        ),
    ],
    ids=["train and val", "train", "val from test", "test"],
)
def test_too_few_images_are_refused(tiny: Dataset, asked: PrepareParams, message: str) -> None:
    with pytest.raises(DataError) as caught:
        select_splits(tiny, asked)

    assert str(caught.value) == f"data/raw/tiny: {message}"


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
            "pixel_mean": 0.5,
            "pixel_std": 0.5,
        },
        {
            "split": "val",
            "samples": 1,
            "classes": no_class | {"0": 1},
            "pixel_mean": 0.2,
            "pixel_std": 0.0,
        },
        {
            "split": "test",
            "samples": 4,
            "classes": no_class | {"0": 1, "1": 1, "2": 1, "3": 1},
            "pixel_mean": 0.45,
            "pixel_std": 0.327872,
        },
    ]
    assert description["test_images_also_in"] == {"train": 1, "val": 2}


def test_description_is_json(tiny: Dataset) -> None:
    description = describe(select_splits(tiny, params(train=6, val=3, test=4)), DIGITS)

    assert json.loads(json.dumps(description)) == description


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


def test_validating_on_test_images_shows_as_overlap(tiny: Dataset) -> None:
    splits = select_splits(tiny, params(train=6, val=3, test=5, val_from="test"))

    assert described(**splits)["test_images_also_in"] == {"train": 0, "val": 3}


def test_describing_needs_little_memory() -> None:
    split, small = random_split(seed=0, count=5000), random_split(seed=1, count=1)
    tracemalloc.start()

    described(train=small, val=small, test=split)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * split.images.nbytes


def test_mnist_has_the_published_pixel_statistics() -> None:
    asked = params(train=60000, val=10000, test=10000, val_from="test")

    description = described(**select_splits(read_dataset(MNIST), asked))

    assert description["splits"][0]["pixel_mean"] == pytest.approx(0.1307, abs=5e-5)
    assert description["splits"][0]["pixel_std"] == pytest.approx(0.3081, abs=5e-5)
    assert description["test_images_also_in"] == {"train": 0, "val": 10000}
