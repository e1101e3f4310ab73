"""Run a search on Ray Tune, and follow it."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.training.ray_cluster import connected, in_memory  # isort: skip  # sets Ray up

from ray import tune
from ray.tune.error import TuneError
from ray.tune.experiment import Trial as TuneTrial

from pipeline.core.arrays import Split
from pipeline.core.errors import PipelineError
from pipeline.provenance.params import Params
from pipeline.sweep.journal import FAILED, STOPPED, Journal, Trial
from pipeline.sweep.searcher import JournalledSearcher, build_scheduler
from pipeline.sweep.settings import Settings
from pipeline.sweep.trainable import EPOCH, FAULT, train_trial
from pipeline.training.history import MEASURES

RETRIES = 3  # of a trial whose worker has died
OnEnd = Callable[[Trial], None]


class JournalCallback(tune.Callback):  # type: ignore[misc]
    """Writes down each epoch, and says what happens, one line each.

    Attributes:
        cause: why the last trial failed that failed each time.
    """

    def __init__(self, journal: Journal, on_end: OnEnd) -> None:
        self._journal, self._on_end = journal, on_end
        self.cause = ""

    def on_trial_result(self, trial: TuneTrial, result: dict[str, Any], **_context: object) -> None:
        """Write an epoch down, once, and say what it reached, also where a trial is repeated."""
        if FAULT in result:
            return
        number, logs = trial.config["number"], {name: result[name] for name in MEASURES}
        again = "" if self._journal.end_epoch(number, result[EPOCH], logs) else " (again)"
        measures = ", ".join(f"{name} {logs[name]:.4f}" for name in MEASURES[2:])
        print(f"trial {number}: epoch {result[EPOCH]}: {measures}{again}", flush=True)

    def on_trial_complete(self, trial: TuneTrial, **_context: object) -> None:
        """Say how a trial has ended."""
        self._end(trial)

    def on_trial_error(self, trial: TuneTrial, **_context: object) -> None:
        """Write down why a trial has failed each time."""
        self.cause = _describe_error(trial)
        self._journal.end(trial.config["number"], FAILED, self.cause)
        self._end(trial)

    def on_trial_recover(self, trial: TuneTrial, **_context: object) -> None:
        """Say that a trial restarts, and why."""
        number, cause = trial.config["number"], _describe_error(trial)
        print(f"trial {number}: {cause}; it starts again", flush=True)

    def _end(self, trial: TuneTrial) -> None:
        ended = self._journal.trials[trial.config["number"]]
        if ended.outcome:  # Tune ends what the time limit cuts off only when it is left
            print(f"trial {ended.number}: {ended.fault or ended.outcome}", flush=True)
            self._on_end(ended)


def _describe_error(trial: TuneTrial) -> str:
    """Return why a trial has failed for the last time, in one line."""
    if not trial.error_file:
        return "it failed"
    text = Path(trial.error_file).read_text(errors="replace").rpartition("Failure #")[2]
    if re.search("The actor died|The actor is unavailable|worker died", text):
        return "its worker died"
    return text.strip().splitlines()[-1]


def search(
    settings: Settings,
    params: Params,
    splits: tuple[Split, Split],
    classes: int,
    journal: Journal,
    folder: Path,
    on_end: OnEnd,
) -> None:
    """Run the trials that the journal lacks, and close it.

    Args:
        settings: what is searched, and how.
        params: all that a trial does not set.
        splits: the training and the validation images; no others.
        classes: their number.
        journal: of what has been done before.
        folder: for what Tune leaves, which nothing needs later.
        on_end: is given each trial when it has ended.

    Raises:
        PipelineError: there is no Ray cluster, or no trial finished an epoch.
    """
    epochs, threads = params.train.epochs, params.train.threads
    seconds = settings.seconds and settings.seconds - journal.seconds
    remaining = settings.trials - journal.done
    train, val = map(in_memory, splits)
    callback = JournalCallback(journal, on_end)
    try:
        if remaining and (seconds is None or seconds > 0):
            with connected(threads, settings.concurrent):
                trainable = tune.with_parameters(
                    train_trial, train=train, val=val, classes=classes, params=params
                )
                tune.Tuner(
                    tune.with_resources(trainable, {"cpu": threads}),
                    tune_config=tune.TuneConfig(
                        num_samples=remaining,
                        search_alg=JournalledSearcher(settings, journal, epochs),
                        scheduler=build_scheduler(settings, journal, epochs),
                        max_concurrent_trials=settings.concurrent,
                        time_budget_s=seconds,
                        reuse_actors=True,  # to import TensorFlow takes longer than an epoch
                    ),
                    run_config=tune.RunConfig(
                        name="trials",
                        storage_path=str(folder.resolve()),
                        failure_config=tune.FailureConfig(max_failures=RETRIES),
                        callbacks=[callback],
                        verbose=0,
                    ),
                ).fit()
        for trial in list(journal.unfinished):
            journal.end(trial.number, STOPPED)
            on_end(trial)
        if callback.cause and not any(trial.epochs for trial in journal.trials.values()):
            journal.forget()  # a fault of the machines, and nothing that would be lost
            raise PipelineError(
                f"no trial finished an epoch: {callback.cause}; "
                "once that is fixed, the same command restarts"
            )
        journal.close()
    except TuneError as error:  # the text of a whole traceback
        raise PipelineError(f"Ray Tune: {str(error).strip().splitlines()[-1]}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
