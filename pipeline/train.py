"""Stage `train`: fit the network to the training images, and watch it on the validation images."""

import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.core import files, splits, stage
from pipeline.core.arrays import Split
from pipeline.core.classes import CLASSES, read_classes
from pipeline.core.errors import ParamsError, PipelineError
from pipeline.core.params import PARAMS
from pipeline.core.rounding import CSV_FORMAT
from pipeline.core.splits import TRAIN, VAL, SplitFiles
from pipeline.model.memory import machine_bytes, require_room
from pipeline.model.paths import MODEL
from pipeline.provenance.params import check_start
from pipeline.tracking.training_run import TrainingRun
from pipeline.training import history, processor
from pipeline.training.checkpoint import Arrays, Checkpoint, add_gpus, identify_training
from pipeline.training.engine import require_engine
from pipeline.training.params import TrainingSections
from pipeline.training.paths import HISTORY

Data = tuple[Split, Split, int]  # training and validation images, number of classes
SECONDS = "seconds"  # of training so far, in a checkpoint


def measure_run(seconds: float, images: int, workers: int) -> dict[str, float]:
    """Return the facts of this run that another would not repeat, in s, images/s and MB.

    Of several workers, which are other processes, the memory is not known.
    """
    facts = {"training_seconds": seconds, "images_per_second": images / seconds}
    if workers == 1:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        facts["peak_memory_mb"] = peak / (2**20 if sys.platform == "darwin" else 2**10)
    return facts


def _require_fit(params: TrainingSections, train: Split, classes: int) -> None:
    height, width, channels = train.images.shape[1:]
    batch_size = min(params.train.batch_size, len(train.labels)) // params.train.workers
    memory, precision = machine_bytes(), params.train.precision
    shape = (height, width, channels)
    try:
        require_room(params.model, shape, classes, batch_size, memory, precision)
    except ValueError as error:
        raise ParamsError(f"{PARAMS}: {error}") from None


def _train(
    data: Data, params: TrainingSections, key: str, model_path: Path, history_path: Path
) -> None:
    """Train, alone or with other workers, and write the outputs."""
    train, val, classes = data
    key_here = add_gpus(key)
    with Checkpoint(key_here) as checkpoint:
        saved = checkpoint.read()
        seconds = float(saved.pop(SECONDS)) if saved else 0.0
        done = history.measured(saved["history"]) if saved else []
        if done:
            print(f"Resuming after epoch {len(done)}, where training was interrupted", flush=True)
        with TrainingRun(key_here, done) as run:
            # Takes seconds, in which the recorder imports MLflow.
            from pipeline.model import network, runtime

            if params.train.workers == 1:
                from pipeline.training.trainer import train_network
            else:
                from pipeline.training.workers import train_network

            runtime.configure(params.train.threads)
            here, gpus = processor.read_processor(), runtime.count_gpus()
            if warning := processor.warn_of_slowness(params.train.precision, here, gpus):
                print(warning, flush=True)
            start = time.perf_counter()

            def begin() -> None:
                nonlocal start
                start = time.perf_counter() - seconds  # other workers have started by now
                run.begin()

            def save(state: Arrays) -> None:
                checkpoint.write(state | {SECONDS: np.array(time.perf_counter() - start)})

            def end_epoch(epoch: int, measures: Mapping[str, float]) -> None:
                shown = ", ".join(f"{name} {value:.4f}" for name, value in measures.items())
                print(f"Epoch {epoch}/{params.train.epochs}: {shown}", flush=True)
                run.log_epoch(epoch, measures)

            model, rows = train_network(train, val, classes, params, end_epoch, saved, begin, save)
            seconds = time.perf_counter() - start
            if identify_training() != key:
                raise PipelineError(
                    "params.yaml, data or code were changed while the network was trained, and DVC "
                    "would record the new ones for it. Put them back, and `dvc repro` uses what "
                    "was trained; otherwise it trains with the new ones"
                )
            network.write_model(model_path, model)
            files.write_text(history_path, rows.to_csv(index=False, float_format=CSV_FORMAT))
            checkpoint.finish(model_path)
            images = len(train.labels) * len(rows)
            facts = measure_run(seconds, images, params.train.workers)
            run.log_facts(facts | {"network_weights": model.count_params()})
            print(f"Trained for {seconds:.1f} s, {facts['images_per_second']:,.0f} images/s")


def main(
    sections: type[TrainingSections] = TrainingSections,
    classes: Path = CLASSES,
    train: SplitFiles = TRAIN,
    val: SplitFiles = VAL,
    model: Path = MODEL,
    measured: Path = HISTORY,
) -> None:
    """Read the prepared training and validation images; write the model and its history."""
    key = identify_training()  # first: in the end, it must still be this
    params = sections.load()
    require_engine(params.train.workers)
    data = splits.read_split(train), splits.read_split(val), len(read_classes(classes))
    _require_fit(params, data[0], data[2])  # what does not fit makes no run
    _train(data, params, key, model, measured)


if __name__ == "__main__":
    stage.run(main, check=check_start)
