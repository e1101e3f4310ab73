"""Find images that are there more than once, in little memory."""

import hashlib
from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pipeline.core.arrays import ByteArray, LabelArray, chunks

KeyArray = npt.NDArray[np.uint64]
BUCKETS = 32  # by the last bits of the keys: sorting takes memory, and one at a time takes less


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
        places = {name: np.flatnonzero(of_all % BUCKETS == bucket) for name, of_all in keys.items()}
        _, first, image = np.unique(  # equal images get the same number
            np.concatenate([keys[name][chosen] for name, chosen in places.items()]),
            return_index=True,
            return_inverse=True,
        )
        labelled = np.concatenate([labels[name][chosen] for name, chosen in places.items()])
        ambiguous = np.bincount(image, labelled != labelled[first][image]) > 0
        ends = np.cumsum([len(chosen) for chosen in places.values()])[:-1]
        parts = zip(places, np.split(image, ends), strict=True)
        times = {name: np.bincount(part, minlength=len(first)) for name, part in parts}
        for name, counts in times.items():
            found["repeated", name] += int((counts - (counts > 0)).sum())
            found["ambiguous", name] += int(counts[ambiguous].sum())
            for other, others in times.items():
                if other != name:
                    found[name, other] += int(counts[others > 0].sum())
    return found
