"""Describe the chosen images: what to know of them before training."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from pipeline.core.arrays import ByteArray, Split, chunks
from pipeline.core.rounding import DIGITS
from pipeline.data.duplicates import count_repeats, image_keys


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
    keys = {name: image_keys(split.images) for name, split in chosen.items()}
    found = count_repeats(keys, {name: split.labels for name, split in chosen.items()})
    return {
        "splits": [
            {
                "split": name,
                **_describe_classes(split, names),
                **_describe_pixels(split.images),
                "constant_images": _count_constant(split.images),
                "repeated_images": found["repeated", name],
                "ambiguous_images": found["ambiguous", name],
            }
            for name, split in chosen.items()
        ],
        "val_images_also_in": {"train": found["val", "train"]},
        "test_images_also_in": {name: found["test", name] for name in ("train", "val")},
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
    of_chunks = (np.bincount(chunk, minlength=len(names)) for chunk in chunks(split.labels))
    counts = np.sum([*of_chunks], axis=0).tolist()
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
    # Pillow's counts in place; NumPy would make a copy of each chunk in 8 bytes per pixel.
    flat = (Image.frombuffer("L", (chunk.size, 1), chunk) for chunk in chunks(images))
    histogram = np.sum([part.histogram() for part in flat], axis=0).tolist()
    count = sum(histogram)
    total = sum(value * number for value, number in enumerate(histogram))
    squares = sum(value**2 * number for value, number in enumerate(histogram))
    mean = total / count
    std = math.sqrt(count * squares - total**2) / count
    return {"pixel_mean": round(mean / 255, DIGITS), "pixel_std": round(std / 255, DIGITS)}


def _count_constant(images: ByteArray) -> int:
    constant = ((chunk == chunk[:, :1, :1]).all(axis=(1, 2, 3)) for chunk in chunks(images))
    return sum(int(of_chunk.sum()) for of_chunk in constant)
