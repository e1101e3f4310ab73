"""Find images that are there more than once, in little memory."""

import hashlib
from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pipeline.arrays import ByteArray, LabelArray, chunks

KeyArray = npt.NDArray[np.uint64]
BUCKETS = 16  # by the last bits of the keys: sorting takes memory, and one at a time takes less


def image_keys(images: ByteArray) -> KeyArray:
    """Return a key of each image's pixels: (N,), 8 bytes each.

    Any two of a million different images have the same key with a probability of 3e-8.
    """
    keys = np.empty(len(images), np.uint64)
    for place, image in enumerate(image for chunk in chunks(images) for image in chunk):
        digest = hashlib.blake2b(image.tobytes(), digest_size=keys.itemsize).digest()
        keys[place] = int.from_bytes(digest)
    return keys


def count_repeats(
    keys: Mapping[str, KeyArray], labels: Mapping[str, LabelArray]
) -> Counter[tuple[str, str]]:
    """Count the images that are there more than once.

    Args:
        keys: of the images of each split, (N,).
        labels: of each split, (N,).

    Returns:
        Under ("repeated", split), how many images are the same as an earlier one of the split;
        under ("ambiguous", split), how many are the same as one, of any split, with another
        label; under (split, other), how many of a split are also in another one.
    """
    found: Counter[tuple[str, str]] = Counter()
    for bucket in range(BUCKETS):
        chosen = {
            name: np.flatnonzero(all_keys % BUCKETS == bucket) for name, all_keys in keys.items()
        }
        parts = {name: keys[name][places] for name, places in chosen.items()}
        labelled = [labels[name][places] for name, places in chosen.items()]
        ambiguous = _find_ambiguous(np.concatenate([*parts.values()]), np.concatenate(labelled))
        for name, part in parts.items():
            found["repeated", name] += len(part) - len(np.unique(part))
            found["ambiguous", name] += _count_in(part, ambiguous)
            for other, others in parts.items():
                if other != name:
                    found[name, other] += _count_in(part, others)
    return found


def _find_ambiguous(keys: KeyArray, labels: LabelArray) -> KeyArray:
    """Return the keys that come with more than one label; keys and labels are (N,)."""
    order = np.argsort(keys)
    keys, labels = keys[order], labels[order]
    found: KeyArray = keys[1:][(keys[1:] == keys[:-1]) & (labels[1:] != labels[:-1])]
    return found


def _count_in(keys: KeyArray, others: KeyArray) -> int:
    return int(np.isin(keys, others).sum())
