"""What Tune asks and tells: the sampler, the scheduler, and the journal of both."""

import json
from types import SimpleNamespace
from typing import Any, cast

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from pipeline.sweep.journal import FAILED, FINISHED, STOPPED, Journal
from pipeline.sweep.settings import Settings
from pipeline.sweep.space import Range
from pipeline.sweep.trainable import EPOCH, FAULT


class JournalledSearcher(Searcher):  # type: ignore[misc]
    """Optuna, asked for trials and told how they end; what the journal has, it is told first."""

    def __init__(self, settings: Settings, journal: Journal, epochs: int) -> None:
        super().__init__(metric=settings.metric, mode="max" if settings.sign > 0 else "min")
        self._settings, self._journal, self._epochs = settings, journal, epochs
        self._ranges = settings.ranges
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
        self._study = optuna.create_study(
            direction="maximize" if settings.sign > 0 else "minimize",
            sampler=samplers[settings.sampler](seed=settings.seed),
        )
        self._asked: dict[int, optuna.Trial] = {}
        for event in journal.past:
            if event["event"] == "start":
                self._ask(event["trial"])
            elif event["event"] == "end":
                self._tell(event["trial"], event["outcome"])
        self._again = [trial.number for trial in journal.unfinished]
        self._numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return a trial's number and changes; first come those that were interrupted."""
        if self._again:
            number = self._again.pop(0)
        else:
            number = len(self._journal.trials) + 1
            if number > self._settings.trials:
                return cast("dict[str, Any]", Searcher.FINISHED)
            self._journal.start(number, self._ask(number))
        self._numbers[trial_id] = number
        return {"number": number, "changes": self._journal.trials[number].changes}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Note how a trial has ended, and tell Optuna; of an error, the follower notes it."""
        number, result = self._numbers[trial_id], result or {}
        if error:
            self._tell(number, FAILED)
            return
        if FAULT in result:
            self._journal.end(number, FAILED, result[FAULT])
        else:
            ended = result.get(EPOCH) == self._epochs
            self._journal.end(number, FINISHED if ended else STOPPED)
        self._tell(number, self._journal.trials[number].outcome)

    def _ask(self, number: int) -> dict[str, Any]:
        distributions = {name: _distribution(found) for name, found in self._ranges.items()}
        self._asked[number] = self._study.ask(distributions)
        drawn = self._asked[number].params
        return {name: _value(found, drawn[name]) for name, found in self._ranges.items()}

    def _tell(self, number: int, outcome: str) -> None:
        """Tell how good a trial was at its last epoch, also where it was stopped early."""
        trial = self._journal.trials[number]
        if outcome == FAILED or not trial.epochs:
            self._study.tell(self._asked[number], state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(self._asked[number], trial.epochs[-1][self._settings.metric])

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the journal has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the journal has it all."""


def build_scheduler(settings: Settings, journal: Journal, epochs: int) -> TrialScheduler:
    """Return the scheduler, which knows what the ended trials of the journal have reached.

    Trials are compared by their numbers: Tune's own ids are others after an interruption.
    """
    if not settings.scheduler:
        return FIFOScheduler()
    scheduler = NumberedScheduler(
        time_attr=EPOCH,
        metric=settings.metric,
        mode="max" if settings.sign > 0 else "min",
        max_t=epochs,
        grace_period=settings.scheduler.grace_epochs,
        reduction_factor=settings.scheduler.reduction_factor,
    )
    done: dict[int, int] = {}
    for event in journal.past:
        number = event.get("trial", 0)
        if event["event"] == "epoch" and journal.trials[number].outcome:
            done[number] = done.get(number, 0) + 1
            trial = SimpleNamespace(config={"number": number})
            scheduler.on_trial_add(None, trial)
            scheduler.on_trial_result(None, trial, event["logs"] | {EPOCH: done[number]})
    return scheduler


class NumberedScheduler(ASHAScheduler):  # type: ignore[misc]
    """ASHA, which knows trials by their numbers."""

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:  # noqa: ANN401
        """Take a trial in."""
        super().on_trial_add(tune_controller, _numbered(trial))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ANN401
        """Decide whether a trial continues."""
        return cast("str", super().on_trial_result(tune_controller, _numbered(trial), result))

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:  # noqa: ANN401
        """Release a trial."""
        super().on_trial_complete(tune_controller, _numbered(trial), result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:  # noqa: ANN401
        """Release a trial that has failed."""
        super().on_trial_remove(tune_controller, _numbered(trial))


def _numbered(trial: Any) -> SimpleNamespace:  # noqa: ANN401
    return SimpleNamespace(trial_id=trial.config["number"])


def _distribution(found: Range) -> BaseDistribution:
    match found.kind:
        case "choice":  # Optuna knows no lists
            return CategoricalDistribution([json.dumps(value) for value in found.values])
        case "int":
            return IntDistribution(*found.values)
        case kind:
            return FloatDistribution(*found.values, log=kind == "loguniform")


def _value(found: Range, drawn: Any) -> object:  # noqa: ANN401
    if found.kind == "choice":
        return cast("object", json.loads(drawn))
    return drawn if found.kind == "int" else found.round(drawn)
