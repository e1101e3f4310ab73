"""What the recorded runs with given params have reached."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.core.params import flatten
from pipeline.provenance.params import Params
from pipeline.provenance.state import NEUTRAL
from pipeline.tracking import runs, store
from pipeline.tracking.store_errors import plain_errors


@dataclass(frozen=True)
class Result:
    """What a complete run has reached.

    Attributes:
        errors: test images that are misclassified.
        accuracy: on the test images.
        accuracy_low: lower limit of its interval.
        accuracy_high: its upper limit.
        val_accuracy: after the last epoch.
        seconds: that training took; None where it was not followed.
        weights: of the network; None where training was not followed.
    """

    errors: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    val_accuracy: float
    seconds: float | None
    weights: int | None


def find_results(wanted: Mapping[str, Params]) -> dict[str, Result]:
    """Return for each name what the latest complete run with its params reached, if there is one.

    No store is made where there is none.

    Raises:
        PipelineError: the store does not answer.
    """
    found = {}
    with plain_errors():
        place = store.find_experiment()
        if place is None:
            return {}
        client, experiment = place
        for name, params in wanted.items():
            conditions = ["attributes.status = 'FINISHED'", f"tags.`{runs.STATE_TAG}` LIKE '%'"]
            wanted_params = {key: str(value) for key, value in flatten(params).items()}
            conditions += [
                f"params.`{key}` = '{value}'"
                for key, value in wanted_params.items()
                if key not in NEUTRAL  # which runs from before lack
            ]
            matching = [
                run
                for run in runs.find(client, experiment, {}, " and ".join(conditions))
                if runs.FALSE_TAG not in run.data.tags
                and all(
                    run.data.params.get(key, str(value)) == wanted_params[key]
                    for key, value in NEUTRAL.items()
                )
            ]
            if matching:
                found[name] = _read(matching[0].data.metrics)
    return found


def _read(metrics: Mapping[str, float]) -> Result:
    weights = metrics.get("network_weights")
    return Result(
        errors=int(metrics["test_errors"]),
        accuracy=metrics["test_accuracy"],
        accuracy_low=metrics["test_accuracy_low"],
        accuracy_high=metrics["test_accuracy_high"],
        val_accuracy=metrics["val_accuracy"],
        seconds=metrics.get("training_seconds"),
        weights=None if weights is None else int(weights),
    )
