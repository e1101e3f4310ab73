"""Describe the chosen images: what to know of them before training."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.arrays import ByteArray, Split

HISTOGRAM_BATCH = 1000  # images; np.bincount makes a copy with 8 bytes per pixel
DIGITS = 6


class _Looks(NamedTuple):
    """What tells images from others: the MD5 of each one's pixels; and how many are constant."""

    digests: list[bytes]
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
    labels: defaultdict[bytes, set[int]] = defaultdict(set)
    for name, split in chosen.items():
        for digest, label in zip(looks[name].digests, split.labels.tolist(), strict=True):
            labels[digest].add(label)
    ambiguous = {digest for digest, of_digest in labels.items() if len(of_digest) > 1}

    def count_in(name: str, digests: set[bytes]) -> int:
        return sum(digest in digests for digest in looks[name].digests)

    sets = {name: set(look.digests) for name, look in looks.items()}
    return {
        "splits": [
            {
                "split": name,
                **_describe_classes(split, names),
                **_describe_pixels(split.images),
                "constant_images": looks[name].constant,
                "repeated_images": len(split.images) - len(sets[name]),
                "ambiguous_images": count_in(name, ambiguous),
            }
            for name, split in chosen.items()
        ],
        "val_images_also_in": {"train": count_in("val", sets["train"])},
        "test_images_also_in": {name: count_in("test", sets[name]) for name in ("train", "val")},
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
    starts = range(0, len(images), HISTOGRAM_BATCH)
    batches = (images[start : start + HISTOGRAM_BATCH] for start in starts)
    histograms = [np.bincount(batch.ravel(), minlength=256) for batch in batches]
    histogram = np.sum(histograms, axis=0).tolist()
    count = sum(histogram)
    total = sum(value * number for value, number in enumerate(histogram))
    squares = sum(value**2 * number for value, number in enumerate(histogram))
    mean = total / count
    std = math.sqrt(count * squares - total**2) / count
    return {"pixel_mean": round(mean / 255, DIGITS), "pixel_std": round(std / 255, DIGITS)}


def _look_at(images: ByteArray) -> _Looks:
    digests, constant = [], 0
    for image in images:
        digests.append(hashlib.md5(image.tobytes(), usedforsecurity=False).digest())
        constant += bool((image == image[0, 0]).all())
    return _Looks(digests, constant)
