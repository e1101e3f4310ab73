"""Say what the pipeline has got, and what to do next."""

import json

from pipeline.core import files, stage
from pipeline.evaluation.paths import EVALUATION
from pipeline.provenance.packages import find_unlocked
from pipeline.provenance.params import load_params


def main() -> None:
    """Print the test accuracy with its interval and the commands that come next."""
    level = load_params().evaluate.confidence
    result = files.read_text(EVALUATION, json.loads)
    for line in find_unlocked():
        print(f"\n{line}")
    print(
        f"\nTest accuracy {result['accuracy']:.4f}, {100 * level:g}% interval "
        f"{result['accuracy_low']:.4f} to {result['accuracy_high']:.4f}: "
        f"{result['errors']:,} of {result['samples']:,} images are misclassified.\n\n"
        "Next:  look at metrics/figures\n"
        "       make ui             compare runs in MLflow\n"
        "       make report         what changed, and whether it is real\n"
        "       edit params.yaml and run it again"
    )


if __name__ == "__main__":
    stage.run(main)
