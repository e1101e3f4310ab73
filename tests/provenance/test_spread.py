"""The spread over seeds: what is recorded, and that only what adds up is read."""

import json
from typing import Any

import pytest
from statsmodels.stats.weightstats import DescrStatsW

from pipeline.provenance.spread import SeedRun, Spread, parse_spread, summarise

ACCURACIES = [0.944, 0.940, 0.962]


def state(seed: int) -> str:
    return f"{seed:032x}"


RUNS = [SeedRun(seed=seed, accuracy=a, state=state(seed)) for seed, a in enumerate(ACCURACIES)]


@pytest.fixture
def recorded() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(summarise(state(1), RUNS, 0.95).model_dump_json())
    return loaded


def test_summary_is_that_of_statsmodels() -> None:
    spread, described = summarise(state(0), RUNS, 0.9), DescrStatsW(ACCURACIES, ddof=1)
    assert spread.seeds == 3
    assert spread.accuracy_mean == pytest.approx(described.mean, abs=5e-7)
    assert spread.accuracy_std == pytest.approx(described.std, abs=5e-7)
    limits = described.tconfint_mean(alpha=0.1)
    assert (spread.accuracy_low, spread.accuracy_high) == pytest.approx(limits, abs=5e-7)


def test_runs_are_listed_by_seed() -> None:
    spread = summarise(state(0), RUNS[::-1], 0.95)
    assert [run.seed for run in spread.runs] == [0, 1, 2]
    assert spread.accuracies == ACCURACIES


def test_spread_belongs_to_the_state_of_each_run() -> None:
    spread = summarise(state(0), RUNS, 0.95)
    assert [spread.belongs_to(state(seed)) for seed in range(4)] == [True, True, True, False]


def test_what_is_written_can_be_read() -> None:
    spread = summarise(state(0), RUNS, 0.95)
    assert parse_spread(spread.model_dump_json(indent=2)) == spread


def test_metrics_that_all_runs_have_are_summarised_and_checked() -> None:
    losses: list[float | None] = [0.2, 0.3, 0.1]
    f1 = [0.5, None, 0.7]
    runs = [
        SeedRun.model_validate(run.model_dump() | {"loss": loss, "f1": score})
        for run, loss, score in zip(RUNS, losses, f1, strict=True)
    ]
    described = DescrStatsW(losses, ddof=1)

    spread = summarise(state(0), runs, 0.95)

    summary = {name: value for name, value in spread.summary.items() if "accuracy" not in name}
    limits = described.tconfint_mean()
    names = ["loss_mean", "loss_std", "loss_low", "loss_high"]
    assert list(summary) == names
    expected = [described.mean, described.std, *limits]
    assert list(summary.values()) == pytest.approx(expected, abs=5e-7)
    written = json.loads(spread.model_dump_json())
    assert parse_spread(json.dumps(written)) == spread
    del written["loss_std"]
    with pytest.raises(ValueError, match=r"^loss_std: nan, but that of the runs is 0\.100000"):
        parse_spread(json.dumps(written))


def test_runs_that_are_all_the_same_can_be_recorded() -> None:
    runs = [run.model_copy(update={"accuracy": 0.1}) for run in RUNS]
    spread = summarise(state(0), runs, 0.95)
    assert (spread.accuracy_low, spread.accuracy_std, spread.accuracy_high) == (0.1, 0, 0.1)
    assert parse_spread(spread.model_dump_json()) == spread


@pytest.mark.parametrize(
    ("text", "fault"),
    [("", "Invalid JSON"), ("{", "Invalid JSON"), ("[]", "Input should be an object")],
)
def test_text_that_is_no_record_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^{fault}"):
        parse_spread(text)


@pytest.mark.parametrize("key", list(Spread.model_fields))
def test_missing_key_is_named(recorded: dict[str, Any], key: str) -> None:
    del recorded[key]
    with pytest.raises(ValueError, match=f"^{key}: Field required$"):
        parse_spread(json.dumps(recorded))


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("note", "x", "note: Input should be a valid number"),
        ("note_mean", 1, "note_mean: no metric that all runs have"),
        ("seeds", 4, "seeds: 4, but there are 3 runs"),
        ("state", state(3), "state: none of the runs has it"),
        ("accuracy_mean", 0.95, "accuracy_mean: 0.95, but that of the runs is 0.948667"),
        ("accuracy_mean", 0.948666, "accuracy_mean: 0.948666, but that of the runs is 0.948667"),
        ("accuracy_std", 0.001, "accuracy_std: 0.001, but that of the runs is 0.011719"),
        ("accuracy_std", float("nan"), "accuracy_std: nan, but that of the runs is 0.011719"),
        ("accuracy_low", 0.94, "accuracy_low: 0.94, but that of the runs is 0.919555"),
        ("accuracy_high", 0.96, "accuracy_high: 0.96, but that of the runs is 0.977778"),
        ("confidence", 0.9, "accuracy_low: 0.919555, but that of the runs is 0.928910"),
        ("confidence", 1, "confidence: Input should be less than 1"),
        ("runs", [], "runs: Tuple should have at least 2 items"),
    ],
)
def test_record_that_contradicts_itself_is_refused(
    recorded: dict[str, Any], key: str, value: object, fault: str
) -> None:
    recorded[key] = value
    with pytest.raises(ValueError, match=f"^{fault}"):
        parse_spread(json.dumps(recorded))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"accuracy": 1.2}, "runs.1.accuracy: Input should be less than or equal to 1"),
        ({"accuracy": -0.1}, "runs.1.accuracy: Input should be greater than or equal to 0"),
        ({"accuracy": None}, "runs.1.accuracy: Input should be a valid number"),
        ({"accuracy": 0.941}, "accuracy_mean: 0.948667, but that of the runs is 0.949000"),
        ({"seed": -1}, "runs.1.seed: Input should be greater than or equal to 0"),
        ({"seed": 0}, "runs: their seeds must differ and ascend, got"),
        ({"seed": 5}, "runs: their seeds must differ and ascend, got"),
        ({"state": state(0)}, "runs: two of them have the same state"),
        ({"state": "abc"}, "runs.1.state: String should match pattern"),
    ],
)
def test_run_that_does_not_fit_is_refused(
    recorded: dict[str, Any], change: dict[str, object], fault: str
) -> None:
    recorded["runs"][1] |= change
    with pytest.raises(ValueError, match=f"^{fault}"):
        parse_spread(json.dumps(recorded))


def test_runs_of_no_recipe_are_not_summarised() -> None:
    with pytest.raises(ValueError, match="two"):
        summarise(state(0), RUNS[:1], 0.95)
    with pytest.raises(ValueError, match="none of the runs"):
        summarise(state(9), RUNS, 0.95)
