"""What the sampler is told again after an interruption."""

from pathlib import Path

import pytest

from pipeline.params import load_params
from pipeline.sweep.journal import Journal
from pipeline.sweep.searcher import JournalledSearcher
from pipeline.sweep.settings import Settings, read_settings
from pipeline.sweep.trainable import EPOCH
from tests.conftest import ROOT
from tests.test_sweep_settings import write

TRIALS = 15  # Optuna's TPE goes by results after 10
SPACE = {"model.dropout": {"uniform": [0, 0.5]}, "train.learning_rate": {"loguniform": [1e-4, 0.1]}}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    changes = {"trials": TRIALS, "space": SPACE}
    return read_settings(load_params(ROOT / "params.yaml"), write(tmp_path, changes))


def search(settings: Settings, path: Path, until: int, best: float) -> list[dict[str, object]]:
    """Go on with a search up to a trial; accuracy falls with the distance from a dropout."""
    journal = Journal(path)
    searcher = JournalledSearcher(settings, journal, epochs=1)
    for number in range(len(journal.trials) + 1, until + 1):
        suggested = searcher.suggest(f"id {number}")
        assert suggested
        accuracy = 1 - abs(suggested["changes"]["model.dropout"] - best)
        logs = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), accuracy)
        journal.end_epoch(number, 1, logs)
        searcher.on_trial_complete(f"id {number}", logs | {EPOCH: 1})
    return [trial.changes for trial in journal.trials.values()]


def test_interrupted_it_draws_what_it_would_have_drawn(settings: Settings, tmp_path: Path) -> None:
    undisturbed = search(settings, tmp_path / "one", TRIALS, best=0.1)
    search(settings, tmp_path / "two", 12, best=0.1)
    assert search(settings, tmp_path / "two", TRIALS, best=0.1) == undisturbed


def test_it_learns_from_the_trials_so_far(settings: Settings, tmp_path: Path) -> None:
    low, high = (search(settings, tmp_path / str(best), TRIALS, best) for best in (0.1, 0.4))
    assert low[:10] == high[:10]
    assert low[10:] != high[10:]
