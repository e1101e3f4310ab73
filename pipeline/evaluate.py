"""Stage `evaluate`: what the model makes of the test images, which nothing saw before."""

from pipeline import files, network, runtime, scores, splits, stage
from pipeline.arrays import CLASSES, Split
from pipeline.errors import DataError
from pipeline.params import load_params
from pipeline.paths import ERRORS, EVALUATION, MODEL, PREDICTIONS
from pipeline.runtime import keras


def predict(model: keras.Model, test: Split) -> scores.Probabilities:
    """Return the probability of each class for each image, (N, CLASSES).

    Raises:
        DataError: the model is for other images or classes.
    """
    expected, found = (
        (test.images.shape[1:], CLASSES),
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
    test = splits.read_split("test")
    runtime.configure(params.train.threads)
    probabilities = predict(network.read_model(MODEL), test)
    predictions = scores.tabulate(probabilities, test.labels)
    errors = predictions[predictions["label"] != predictions["predicted"]]
    metrics = scores.score(probabilities, predictions, params.evaluate.confidence)
    files.write_json(EVALUATION, metrics)
    files.write_text(PREDICTIONS, predictions.to_csv(index=False, float_format="%.6f"))
    files.write_text(ERRORS, errors.to_csv(index=False, float_format="%.6f"))


if __name__ == "__main__":
    stage.run(main)
