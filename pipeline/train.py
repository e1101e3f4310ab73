"""Stage `train`: fit the network to the training images, and watch it on the validation images."""

import resource
import sys
import time

from pipeline import files, splits, stage
from pipeline.classes import read_classes
from pipeline.errors import ParamsError
from pipeline.feature_maps import feature_map_size
from pipeline.params import ModelParams, load_params
from pipeline.paths import HISTORY, MODEL, PARAMS
from pipeline.tracking.training_run import TrainingRun


def measure_run(seconds: float, images: int) -> dict[str, float]:
    """Return the facts of this run that another would not repeat, in s, images/s and MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "training_seconds": seconds,
        "images_per_second": images / seconds,
        "peak_memory_mb": peak / (2**20 if sys.platform == "darwin" else 2**10),
    }


def _require_fit(params: ModelParams, height: int, width: int) -> None:
    try:
        feature_map_size(params.conv_blocks, params.kernel_size, height, width)
    except ValueError as error:
        raise ParamsError(f"{PARAMS}: {error}") from None


def main() -> None:
    """Read the prepared training and validation images; write the model and its history."""
    params = load_params()
    train, val = splits.read_split("train"), splits.read_split("val")
    classes = len(read_classes())
    _require_fit(params.model, *train.images.shape[1:3])  # what does not fit makes no run
    with TrainingRun(params) as run:
        # Takes seconds, in which the process that the run has started imports MLflow.
        from pipeline import network, runtime, trainer

        runtime.configure(params.train.threads)
        start = time.perf_counter()
        model, history = trainer.train_network(train, val, classes, params, run.log_epoch)
        seconds = time.perf_counter() - start
        network.write_model(MODEL, model)
        files.write_text(HISTORY, history.to_csv(index=False, float_format="%.6f"))
        facts = measure_run(seconds, len(train.labels) * len(history))
        run.log_facts(facts | {"network_weights": model.count_params()})
        print(f"Trained for {seconds:.1f} s, {facts['images_per_second']:,.0f} images/s")


if __name__ == "__main__":
    stage.run(main)
