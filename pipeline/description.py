"""Describe the chosen images: what to know of them before training."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.arrays import ByteArray, LabelArray, Split, chunks

DIGITS = 6


class _Looks(NamedTuple):
    """A key of each image, (N,), uint64: that of its pixels; and how many images are constant."""

    keys: npt.NDArray[np.uint64]
    constant: int


def describe(chosen: Mapping[str, Split], names: Sequence[str]) -> dict[str, object]:
    """Summarise the splits `train`, `val` and `test` for `metrics/dataset.json`.

    Args:
        chosen: the splits.
        names: of the classes, two or more.

    Returns:
        Under `splits`, in a list, which keeps it out of DVC's tables of metrics, for each split:

        - split, samples: its name, and how many images it has;
        - classes: how many of each; smallest_class, largest_class: the extremes of these numbers;
        - class_balance: 1 if all classes are equally frequent, 0 if there is but one;
        - pixel_mean, pixel_std: of the pixels, taken from 0 to 1;
        - constant_images: how many have the same value in all pixels;
        - repeated_images: how many are the same, pixel for pixel, as an earlier one of the split;
        - ambiguous_images: how many are the same as one, of any split, with another label.

        Under `val_images_also_in` and `test_images_also_in`, how many validation and test images
        occur in other splits. Fractions are rounded to 6 digits.
    """
    looks = {name: _look_at(split.images) for name, split in chosen.items()}
    keys = {name: look.keys for name, look in looks.items()}
    labels = [np.asarray(split.labels) for split in chosen.values()]
    ambiguous = _find_ambiguous(np.concatenate([*keys.values()]), np.concatenate(labels))
    return {
        "splits": [
            {
                "split": name,
                **_describe_classes(split, names),
                **_describe_pixels(split.images),
                "constant_images": looks[name].constant,
                "repeated_images": len(split.images) - len(np.unique(keys[name])),
                "ambiguous_images": _count_in(keys[name], ambiguous),
            }
            for name, split in chosen.items()
        ],
        "val_images_also_in": {"train": _count_in(keys["val"], keys["train"])},
        "test_images_also_in": {
            name: _count_in(keys["test"], keys[name]) for name in ("train", "val")
        },
    }


def class_balance(counts: Sequence[int]) -> float:
    """Return Shannon's entropy of the shares of classes, divided by its largest possible value.

    E. C. Pielou, "The measurement of diversity in different types of biological collections"
    (1966), who calls it evenness.
    """
    total = sum(counts)
    shares = [count / total for count in counts if count]
    return math.fsum(-share * math.log(share) for share in shares) / math.log(len(counts))


def _describe_classes(split: Split, names: Sequence[str]) -> dict[str, object]:
    counts = np.bincount(split.labels, minlength=len(names)).tolist()
    return {
        "samples": len(split.labels),
        "classes": dict(zip(names, counts, strict=True)),
        "smallest_class": min(counts),
        "largest_class": max(counts),
        "class_balance": abs(round(class_balance(counts), DIGITS)),  # and not -0.0
    }


def _describe_pixels(images: ByteArray) -> dict[str, float]:
    """Return mean and standard deviation of the pixels on a scale from 0 to 1.

    Both come from a histogram, in integers up to the last step, so they are the same everywhere.
    """
    # A copy in 8 bytes per pixel is made of each chunk.
    histograms = [np.bincount(chunk.ravel(), minlength=256) for chunk in chunks(images)]
    histogram = np.sum(histograms, axis=0).tolist()
    count = sum(histogram)
    total = sum(value * number for value, number in enumerate(histogram))
    squares = sum(value**2 * number for value, number in enumerate(histogram))
    mean = total / count
    std = math.sqrt(count * squares - total**2) / count
    return {"pixel_mean": round(mean / 255, DIGITS), "pixel_std": round(std / 255, DIGITS)}


def _look_at(images: ByteArray) -> _Looks:
    keys, constant = np.empty(len(images), np.uint64), 0
    for place, image in enumerate(image for chunk in chunks(images) for image in chunk):
        # Any two of a million different images have the same key with a probability of 3e-8.
        digest = hashlib.blake2b(image.tobytes(), digest_size=keys.itemsize).digest()
        keys[place] = int.from_bytes(digest)
        constant += bool((image == image[0, 0]).all())
    return _Looks(keys, constant)


def _find_ambiguous(keys: npt.NDArray[np.uint64], labels: LabelArray) -> npt.NDArray[np.uint64]:
    """Return the keys that come with more than one label; keys and labels are (N,)."""
    order = np.argsort(keys)
    keys, labels = keys[order], labels[order]
    found: npt.NDArray[np.uint64] = keys[1:][(keys[1:] == keys[:-1]) & (labels[1:] != labels[:-1])]
    return found


def _count_in(keys: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64]) -> int:
    return int(np.isin(keys, others).sum())
