"""Stage `evaluate`: what the model makes of the test images, which nothing saw before."""

from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd

# Before TensorFlow: below Python 3.13, pydantic finds docstrings by a look at every module.
from pipeline.provenance.params import check_start  # isort: skip
from pipeline.core import files, splits, stage
from pipeline.core.arrays import Split, chunks
from pipeline.core.classes import CLASSES, read_classes
from pipeline.core.errors import DataError
from pipeline.core.splits import TEST, SplitFiles
from pipeline.evaluation import attribution, scores, selection
from pipeline.evaluation.observations import Observations, quantize, write_observations
from pipeline.evaluation.params import EvaluationSections
from pipeline.evaluation.paths import ERRORS, EVALUATION, OBSERVATIONS, PREDICTIONS
from pipeline.evaluation.predictions import format_predictions
from pipeline.model import network, runtime
from pipeline.model.paths import MODEL
from pipeline.model.runtime import keras


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
    """Look into the network as it computes.

    Args:
        model: what `network.build_network` builds.
        test: all test images and their labels.
        probabilities: of each class for each image, (N, classes).
        predictions: the same as `scores.tabulate` shows it.
        followed: numbers of the images to follow through the network, at least one.
    """
    errors = selection.confident_errors(predictions)["image"].to_numpy()
    shown = np.stack([probabilities[errors].argmax(axis=1), test.labels[errors]], axis=1)
    margins, rivals = selection.score_margins(probabilities, test.labels)
    maps = attribution.layer_outputs(model, test.images[followed])
    return Observations(
        kernel=attribution.first_kernel(model),
        attributions=attribution.integrated_gradients(model, test.images[errors], shown),
        margins=margins,
        rivals=rivals,
        followed=np.array(followed),
        maps={name: quantize(values) for name, values in maps.items()},
    )


def main(
    sections: type[EvaluationSections] = EvaluationSections,
    classes: Path = CLASSES,
    test: SplitFiles = TEST,
    model: Path = MODEL,
    evaluation: Path = EVALUATION,
    predictions: Path = PREDICTIONS,
    errors: Path = ERRORS,
    observations: Path = OBSERVATIONS,
) -> None:
    """Read the model and the test images; write metrics, predictions, errors and observations."""
    params = sections.load()
    split, names = splits.read_split(test), read_classes(classes)
    followed = selection.followed_images(split.labels, params.evaluate.images)
    runtime.configure(params.train.threads)
    trained = network.read_model(model)
    Thread(target=scores.import_sklearn).start()
    probabilities = predict(trained, split, len(names))
    table = scores.tabulate(probabilities, split.labels, names)
    level = params.evaluate.confidence
    outcome = scores.Outcome(probabilities, split.labels, table, level)
    files.write_json(evaluation, scores.score(outcome, names))
    files.write_text(predictions, format_predictions(table))
    files.write_text(errors, format_predictions(table[table["label"] != table["predicted"]]))
    observed = observe(trained, split, probabilities, table, followed)
    write_observations(observations, observed)


if __name__ == "__main__":
    stage.run(main, check=check_start)
