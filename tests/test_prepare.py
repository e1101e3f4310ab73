"""Choosing and describing the splits."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from pipeline.core.arrays import Split
from pipeline.core.errors import DataError
from pipeline.data.params import PrepareParams
from pipeline.data.raw_data import ArraySplit, Dataset
from pipeline.prepare import select_splits

DIGITS = [str(digit) for digit in range(10)]
MNIST = Path(__file__).parents[1] / "data" / "raw" / "mnist"


def raw_split(count: int, first_pixel: int) -> ArraySplit:
    """`count` images; all pixels of image i are `first_pixel + i`, its label is i modulo 10."""
    pixels = np.arange(first_pixel, first_pixel + count, dtype=np.uint8)
    images = np.broadcast_to(pixels[:, None, None, None], (count, 28, 28, 1))
    return ArraySplit(images.copy(), np.arange(count, dtype=np.uint8) % 10)


Samples = int | Literal["all"]


def params(
    train: Samples, val: Samples, test: Samples, val_from: Literal["train", "test"] = "train"
) -> PrepareParams:
    return PrepareParams(
        image_size=None,
        dataset="tiny",
        train_samples=train,
        val_samples=val,
        val_from=val_from,
        test_samples=test,
        test_fraction=None,
    )


def first_pixels(split: Split) -> list[int]:
    pixels: list[int] = split.images[:, 0, 0, 0].tolist()
    return pixels


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


@pytest.mark.parametrize(
    ("asked", "counts"),
    [
        (params(train="all", val=5, test="all"), {"train": 7, "val": 5, "test": 5}),
        (params(train=4, val="all", test=1), {"train": 4, "val": 8, "test": 1}),
        (params("all", "all", "all", val_from="test"), {"train": 12, "val": 5, "test": 5}),
    ],
)
def test_all_takes_what_is_there_or_left(
    tiny: Dataset, asked: PrepareParams, counts: dict[str, int]
) -> None:
    splits = select_splits(tiny, asked)
    assert {name: len(split.images) for name, split in splits.items()} == counts
    both = first_pixels(splits["train"]) + first_pixels(splits["val"])
    assert len({*both}) == len(both)


def test_all_with_nothing_left_is_refused(tiny: Dataset) -> None:
    with pytest.raises(DataError, match="all of which prepare\\.val_samples takes"):
        select_splits(tiny, params(train="all", val=12, test=5))


def test_all_faults_of_counts_are_named_at_once(tiny: Dataset) -> None:
    with pytest.raises(DataError) as caught:
        select_splits(tiny, params(train=13, val=6, test=7, val_from="test"))
    lines = str(caught.value).splitlines()
    assert [line.split("but ")[1].split(" asks")[0] for line in lines] == [
        "prepare.train_samples",
        "prepare.val_samples",
        "prepare.test_samples",
    ]
