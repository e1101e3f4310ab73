"""Stage `evaluate`: what the model makes of the test images, which nothing saw before."""

from pipeline import files, network, runtime, scores, splits, stage
from pipeline.arrays import Split
from pipeline.classes import read_classes
from pipeline.errors import DataError
from pipeline.params import load_params
from pipeline.paths import ERRORS, EVALUATION, MODEL, PREDICTIONS
from pipeline.predictions import format_predictions
from pipeline.runtime import keras


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
    probabilities: scores.Probabilities = model.predict(
        runtime.batches(test, runtime.EVALUATION_BATCH_SIZE), verbose=0
    )
    return probabilities


def main() -> None:
    """Read the model and the test images; write the metrics, all predictions, and the errors."""
    params = load_params()
    test, names = splits.read_split("test"), read_classes()
    runtime.configure(params.train.threads)
    probabilities = predict(network.read_model(MODEL), test, len(names))
    predictions = scores.tabulate(probabilities, test.labels, names)
    errors = predictions[predictions["label"] != predictions["predicted"]]
    metrics = scores.score(probabilities, test.labels, names, params.evaluate.confidence)
    files.write_json(EVALUATION, metrics)
    files.write_text(PREDICTIONS, format_predictions(predictions))
    files.write_text(ERRORS, format_predictions(errors))


if __name__ == "__main__":
    stage.run(main)
