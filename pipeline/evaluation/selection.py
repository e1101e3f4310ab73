"""Which test images are worth a look."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.core.arrays import FloatArray, IntArray
from pipeline.core.errors import ParamsError
from pipeline.core.params import PARAMS

CONFIDENT_ERRORS = 24
FOLLOWED = 20  # of the first of each class: data may have hundreds of classes
EXAMPLES = 4


def confident_errors(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the misclassified images that the model was surest about, surest first.

    Args:
        predictions: one row per image, with columns image, label, predicted, and probability (of
            the predicted class).
    """
    errors = predictions[predictions["label"] != predictions["predicted"]]
    order = errors.sort_values(["probability", "image"], ascending=[False, True])
    return order.head(CONFIDENT_ERRORS)


def followed_images(labels: IntArray, chosen: Sequence[int] | None) -> list[int]:
    """Return the numbers of the images to follow through the network.

    Args:
        labels: of all test images, (N,).
        chosen: their numbers; None: the first image of each of the first `FOLLOWED` classes.

    Raises:
        ParamsError: there is no such image; where `prepare.test_samples` is `all`, only now one
            can tell.
    """
    if chosen is not None:
        if beyond := [image for image in chosen if image >= len(labels)]:
            raise ParamsError(
                f"{PARAMS}: evaluate.images: there is no test image {beyond[0]:,}; with "
                f"{len(labels):,} test images, the last is {len(labels) - 1:,}"
            )
        return [*chosen]
    _, first = np.unique(labels, return_index=True)
    return [int(image) for image in first[:FOLLOWED]]


def score_margins(probabilities: FloatArray, labels: IntArray) -> tuple[FloatArray, IntArray]:
    """Return by how much the score of the true class exceeds that of its strongest rival.

    This margin (Pleiss et al., "Identifying mislabeled data using the area under the margin
    ranking", NeurIPS 2020) is large for images that are typical of their class, near 0 where the
    network wavers, and negative for errors. Scores are logits; as the softmax keeps their
    differences, those of the logarithms of the probabilities are the same. They end at 87, where
    the probability of the rival is no longer a normal number.

    Args:
        probabilities: of each class for each image, (N, classes), at least 2 of them.
        labels: true class of each image, (N,).

    Returns:
        Margin and rival, the most probable class but the true one, of each image, both (N,).
    """
    images = np.arange(len(labels))
    logarithms = np.maximum(probabilities, np.finfo(np.float32).tiny)
    np.log(logarithms, out=logarithms)
    true = logarithms[images, labels]
    logarithms[images, labels] = -np.inf
    rivals = logarithms.argmax(axis=1)
    return true - logarithms[images, rivals], rivals


def typical_and_unsure(
    margins: FloatArray, labels: IntArray, label: int
) -> tuple[IntArray, IntArray]:
    """Return the images of one class with the largest margins, and those with margins nearest 0.

    Args:
        margins: of all test images, as `score_margins` gives them, (N,).
        labels: of all test images, (N,).
        label: the class.

    Returns:
        Numbers of at most `EXAMPLES` images each; where margins are equal, lower ones come first.
    """
    images = np.flatnonzero(labels == label)
    typical = images[np.argsort(-margins[images], kind="stable")]
    unsure = images[np.argsort(np.abs(margins[images]), kind="stable")]
    return typical[:EXAMPLES], unsure[:EXAMPLES]
