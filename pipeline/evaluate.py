"""Stage `evaluate`: what the model makes of the test images, which nothing saw before."""

import numpy as np
import pandas as pd

from pipeline.core import files, splits, stage
from pipeline.core.arrays import Split, chunks
from pipeline.core.classes import read_classes
from pipeline.core.errors import DataError
from pipeline.evaluation import attribution, scores, selection
from pipeline.evaluation.observations import Observations, quantize, write_observations
from pipeline.evaluation.predictions import format_predictions
from pipeline.model import network, runtime
from pipeline.model.runtime import keras
from pipeline.paths import ERRORS, EVALUATION, MODEL, OBSERVATIONS, PREDICTIONS
from pipeline.provenance.params import load_params


def predict(model: keras.Model, test: Split, classes: int) -> scores.Probabilities:
    """Return the probability of each class for each image, (N, classes).

    Args:
        model: takes raw pixels.
        test: the images, and labels that are not looked at.
        classes: their number.

    Raises:
        DataError: the model is for other images or classes.
    """
    expected, found = (
        (test.images.shape[1:], classes),
        (model.input_shape[1:], model.output_shape[-1]),
    )
    if expected != found:
        raise DataError(
            f"{MODEL}: takes images of shape {found[0]} in {found[1]} classes, but the test images "
            f"are of shape {expected[0]} in {expected[1]}; `dvc repro` trains one that fits"
        )
    batches = chunks(test.images, runtime.EVALUATION_BATCH_SIZE)
    return np.concatenate([model.predict_on_batch(batch) for batch in batches])


def observe(
    model: keras.Model,
    test: Split,
    probabilities: scores.Probabilities,
    predictions: pd.DataFrame,
    followed: list[int],
) -> Observations:
    """Look into the network at work.

    Args:
        model: what `network.build_network` builds.
        test: all test images and their labels.
        probabilities: of each class for each image, (N, classes).
        predictions: the same as `scores.tabulate` shows it.
        followed: numbers of the images to follow through the network, at least one.
    """
    errors = selection.confident_errors(predictions)["image"].to_numpy()
    images, labels = test.images[errors], test.labels[errors]
    attributions = [
        attribution.integrated_gradients(model, images, classes)
        for classes in (probabilities[errors].argmax(axis=1), labels)
    ]
    margins, rivals = selection.score_margins(probabilities, test.labels)
    maps = attribution.layer_outputs(model, test.images[followed])
    return Observations(
        kernel=attribution.first_kernel(model),
        attributions=np.stack(attributions, axis=1),
        margins=margins,
        rivals=rivals,
        followed=np.array(followed),
        maps={name: quantize(values) for name, values in maps.items()},
    )


def main() -> None:
    """Read the model and the test images; write metrics, predictions, errors and observations."""
    params = load_params()
    test, names = splits.read_split("test"), read_classes()
    followed = selection.followed_images(test.labels, params.evaluate.images)
    runtime.configure(params.train.threads)
    model = network.read_model(MODEL)
    probabilities = predict(model, test, len(names))
    predictions = scores.tabulate(probabilities, test.labels, names)
    errors = predictions[predictions["label"] != predictions["predicted"]]
    metrics = scores.score(
        probabilities, test.labels, predictions, names, params.evaluate.confidence
    )
    files.write_json(EVALUATION, metrics)
    files.write_text(PREDICTIONS, format_predictions(predictions))
    files.write_text(ERRORS, format_predictions(errors))
    observations = observe(model, test, probabilities, predictions, followed)
    write_observations(OBSERVATIONS, observations)


if __name__ == "__main__":
    stage.run(main)
