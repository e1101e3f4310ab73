"""Train an experiment of experiments.yaml and test it, without DVC, files and MLflow.

    python -m benchmarks.train_experiment NAME [--seed SEED] [--set PARAM=VALUE ...] [--small]

Validation images follow those trained on: with `--set prepare.val_samples=20000`, the recipe was
chosen. The last line is a JSON object with what was measured.
"""

import argparse
import json
import time

from ruamel.yaml import YAML

from benchmarks.bench import SMALL
from pipeline import evaluate
from pipeline.data.dataset import read_dataset
from pipeline.data.paths import RAW
from pipeline.experiments.definitions import read_experiments
from pipeline.model import runtime
from pipeline.prepare import select_splits
from pipeline.provenance.params import Params
from pipeline.training import trainer


def train(params: Params) -> dict[str, object]:
    """Return what was measured of a training run.

    Returns:
        `images` that were trained on; `fit_seconds`, in which the network is also built; `epochs`,
        for each the seconds from the start to its end, and the validation accuracy then; and the
        test `accuracy`.
    """
    dataset = read_dataset(
        RAW / params.prepare.dataset, params.prepare.image_size, params.prepare.test_fraction
    )
    chosen = select_splits(dataset, params.prepare)
    classes, test = len(dataset.classes), chosen["test"]
    runtime.configure(params.train.threads)
    epochs = []
    start = time.perf_counter()

    def end_epoch(_epoch: int, logs: dict[str, float]) -> None:
        epochs.append((time.perf_counter() - start, logs["val_accuracy"]))

    model, _ = trainer.train_network(chosen["train"], chosen["val"], classes, params, end_epoch)
    seconds = time.perf_counter() - start
    predicted = evaluate.predict(model, test, classes).argmax(axis=1)
    accuracy = float((predicted == test.labels).mean())
    images = len(chosen["train"].labels)
    return {"images": images, "fit_seconds": seconds, "epochs": epochs, "accuracy": accuracy}


def main() -> None:
    """Train, and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", metavar="NAME", choices=(known := read_experiments()))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", metavar="PARAM=VALUE", action="append", default=[], dest="changes")
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()

    values = known[args.name].params.model_dump()
    given = (change.partition("=") for change in args.changes)
    changes = {name: YAML(typ="safe").load(value) for name, _, value in given}
    changes |= {"train.seed": args.seed} | (SMALL if args.small else {})
    for name, value in changes.items():
        section, key = name.split(".")
        values[section][key] = value
    print(json.dumps(train(Params.model_validate(values))))


if __name__ == "__main__":
    main()
