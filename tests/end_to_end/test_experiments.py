"""`pipeline.experiments` runs what experiments.yaml says, and shows in docs what was recorded."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from pipeline.core.errors import ParamsError, PipelineError
from pipeline.experiments import results_page, runner
from pipeline.experiments.definitions import Experiment, read_experiments
from pipeline.experiments.dvc_run import arguments
from pipeline.experiments.runner import describe
from pipeline.experiments.table import results_table
from pipeline.provenance.params import Params
from pipeline.tracking.experiment_results import Result, find_results
from pipeline.tracking.store import EXPERIMENT
from tests.conftest import FROZEN, ROOT, SMALL, Clone
from tests.end_to_end.test_seeds import experiments_of, observe
from tests.faulty_server import failing_server, hang
from tests.mlflow_store import lose_store, runs_of
from tests.noted import Observed, observe_once, run_noted
from tests.provenance.test_params import LESSON

RUN = ("-m", "pipeline.experiments")


def dump(params: Mapping[str, object]) -> str:
    return "".join(f"    {name}: {json.dumps(value)}\n" for name, value in params.items())


def definition(name: str, params: Mapping[str, object]) -> str:
    return f"{name}:\n  description: About {name}\n  params:\n{dump(params) or '    {}'}\n"


def read(tmp_path: Path, *definitions: str) -> dict[str, Experiment]:
    path = tmp_path / "experiments.yaml"
    path.write_text("".join(definitions))
    return read_experiments(path)


def faults(tmp_path: Path, *definitions: str) -> list[str]:
    with pytest.raises(ParamsError) as caught:
        read(tmp_path, *definitions)
    return str(caught.value).replace(f"{tmp_path}/", "").split("\n")


@pytest.fixture(scope="module")
def defined() -> dict[str, Experiment]:
    return read_experiments(FROZEN["experiments.yaml"])


def present(**changes: object) -> Params:
    sections: dict[str, dict[str, object]] = {}
    for name, value in {**LESSON, **changes}.items():
        section, key = name.split(".")
        sections.setdefault(section, {})[key] = value
    return Params.model_validate(sections)


def test_experiments_are_whole_params_and_what_they_change_of_the_lesson(
    defined: dict[str, Experiment],
) -> None:
    assert set(defined) >= {
        *("lesson", "mlp", "dropout", "1000-images", "5000-images", "60000-images"),
        *("fashion-mnist", "recipe", "recipe-60000"),
    }
    assert defined["lesson"].params == present()
    assert defined["lesson"].changes == {}
    assert defined["mlp"].changes == {"model.conv_blocks": []}
    everything = defined["60000-images"].params.prepare
    assert (everything.train_samples, everything.val_samples) == (59_500, 500)
    recipe, everything = defined["recipe"], defined["recipe-60000"].params.prepare
    assert recipe.params.prepare == present().prepare
    assert (everything.train_samples, everything.val_samples) == (55_000, 5000)


def test_command_sets_what_differs_from_the_present_params(
    defined: dict[str, Experiment],
) -> None:
    assert describe(defined["lesson"], present()).splitlines()[1:] == [
        "    dvc exp run --name lesson"
    ]
    edited = present(**{"train.early_stopping_patience": 3, "prepare.dataset": "other"})
    assert describe(defined["mlp"], edited).splitlines()[1:] == [
        "    dvc exp run --name mlp -S prepare.dataset=mnist -S 'model.conv_blocks=[]' "
        "-S train.early_stopping_patience=null"
    ]
    nested = present(**{"model.conv_blocks": [[1, 2], [3]], "model.batch_norm": True})
    assert describe(defined["lesson"], nested).splitlines()[1:] == [
        "    dvc exp run --name lesson -S 'model.conv_blocks=[[32,64,128]]' "
        "-S model.batch_norm=false"
    ]


@pytest.mark.parametrize("dataset", ["2024", "1e3", "null", "True", "nan", "1_000", "-1"])
def test_dataset_whose_name_is_like_a_number_stays_text(
    defined: dict[str, Experiment], dataset: str
) -> None:
    edited = present(**{"prepare.dataset": dataset})
    words = arguments(
        "other", defined["lesson"].changes_from(edited) | {"prepare.dataset": dataset}
    )
    override = OverridesParser.create().parse_override(words[-1])
    assert words[:-1] == ["--name", "other", "-S"]
    assert override.value() == dataset
    assert isinstance(override.value(), str)


def test_changes_are_told_from_what_is_as_in_the_lesson(tmp_path: Path) -> None:
    changes = {"train.epochs": 10, "train.batch_size": 32}
    found = read(tmp_path, definition("small", changes), definition("lesson", LESSON))
    assert list(found) == ["small", "lesson"]
    assert found["small"].changes == {"train.batch_size": 32}
    assert found["small"].params == present(**{"train.batch_size": 32})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            definition("small", {"model.dropouts": 0.3, "train.epochs": 0}),
            [
                "small: model.dropouts: is not a known parameter; did you mean model.dropout?",
                "small: train.epochs: must be at least 1, got 0",
            ],
        ),
        (
            definition("small", {"dropout": 0.3}),
            ["small: dropout: is not a known parameter; did you mean model.dropout?"],
        ),
        (definition("small", {"model": {}}), ["small: model.'': is not a known parameter"]),
        (
            "small:\n  params: []\n",
            ["small: description: is missing", "small: params: must be a valid dictionary, got []"],
        ),
        ("small: 3\n", ["small: must be a mapping, got 3"]),
        (
            "-S x:\n  description: No\n  params: {}\n",
            ["-S x: must be a name of letters, digits, - and _"],
        ),
    ],
)
def test_fault_is_said_with_its_place(tmp_path: Path, text: str, expected: list[str]) -> None:
    lines = faults(tmp_path, definition("lesson", LESSON), text)
    assert lines == [f"experiments.yaml: {line}" for line in expected]


def test_lesson_must_be_there_and_whole(tmp_path: Path) -> None:
    assert faults(tmp_path, definition("small", {})) == [
        "experiments.yaml: lesson: is missing; the others are changes of it"
    ]
    part = {name: value for name, value in LESSON.items() if name != "train.seed"}
    assert faults(tmp_path, definition("lesson", part)) == [
        "experiments.yaml: lesson: train.seed: is missing"
    ]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.MlflowClient]:
    """A store with an experiment for the pipeline, which `find_results` asks."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    client.create_experiment(EXPERIMENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        yield client


def record(
    client: mlflow.MlflowClient,
    start: int,
    accuracy: float,
    params: Mapping[str, object] = LESSON,
    status: str = "FINISHED",
    **tags: str,
) -> str:
    """Make up a run, and return its id."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment
    run_id: str = client.create_run(experiment.experiment_id, start, tags).info.run_id
    for name, value in params.items():
        client.log_param(run_id, name, str(value))
    limits = {"test_accuracy_low": 0.8, "test_accuracy_high": 0.95}
    metrics = {"test_accuracy": accuracy, "test_errors": 12, "val_accuracy": 0.92, **limits}
    for name, metric in metrics.items():
        client.log_metric(run_id, name, metric)
    if status != "RUNNING":
        client.set_terminated(run_id, status)
    return run_id


def test_latest_complete_run_with_the_params_counts(tracked: mlflow.MlflowClient) -> None:
    record(tracked, 1000, 0.90, state="a")
    latest = record(tracked, 2000, 0.91, state="b")
    tracked.log_metric(latest, "training_seconds", 40.5)
    tracked.log_metric(latest, "network_weights", 3_000_000)
    record(tracked, 3000, 0.92, incomplete="not evaluated")
    record(tracked, 4000, 0.93, status="FAILED", state="c")
    record(tracked, 5000, 0.94, status="RUNNING", state="d")
    record(tracked, 6000, 0.95, {**LESSON, "train.seed": 1}, state="e")
    wanted = {"lesson": present(), "mlp": present(**{"model.conv_blocks": []})}
    assert find_results(wanted) == {
        "lesson": Result(12, 0.91, 0.8, 0.95, 0.92, seconds=40.5, weights=3_000_000)
    }
    second = find_results({"second": present(**{"train.seed": 1})})
    assert second["second"].accuracy == 0.95
    assert (second["second"].seconds, second["second"].weights) == (None, None)


def test_no_store_is_made_to_find_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert find_results({"lesson": present()}) == {}
    assert not any(tmp_path.iterdir())


def made_up(tmp_path: Path) -> dict[str, Experiment]:
    return read(
        tmp_path,
        definition("lesson", LESSON),
        definition("half", {"prepare.train_samples": 1000, "train.optimizer": "sgd"}),
        definition("mlp", {"model.conv_blocks": []}),
        definition("lost", {"model.dropout": 0.5}),
    )


RESULTS = {
    "lesson": Result(422, 0.9578, 0.9537, 0.9616, 0.954, seconds=40.0, weights=3_322_000),
    "half": Result(1000, 0.9, 0.894, 0.9057, 0.9, seconds=21.37, weights=None),
    "lost": Result(500, 0.95, 0.9455, 0.9541, 0.95, seconds=None, weights=7),
}
HEADER = """\
| experiment | what it changes | training images | weights | test accuracy | errors \
| validation accuracy | training time |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""
LESSON_ROW = """\
| `lesson`: About lesson |  | 2,000 | 3,322,000 | 0.9578 (0.9537 to 0.9616) | 422 | 0.9540 | 1 |
"""
HALF_ROW = """\
| `half`: About half | `train_samples: 1000`, `optimizer: sgd` | 1,000 | ? \
| 0.9000 (0.8940 to 0.9057) | 1,000 | 0.9000 | 0.53 |
"""
MLP_ROW = """\
| `mlp`: About mlp | `conv_blocks: []` | 2,000 |  | not run |  |  |  |
"""
LOST_ROW = """\
| `lost`: About lost | `dropout: 0.5` | 2,000 | 7 | 0.9500 (0.9455 to 0.9541) | 500 \
| 0.9500 | ? |
"""


def test_table_has_a_row_for_each_experiment(tmp_path: Path) -> None:
    table = results_table(made_up(tmp_path).values(), RESULTS)
    assert f"{table}\n" == HEADER + LESSON_ROW + HALF_ROW + MLP_ROW + LOST_ROW


def test_without_the_lesson_no_time_is_known(tmp_path: Path) -> None:
    without = {"half": RESULTS["half"]}
    table = results_table([made_up(tmp_path)["half"]], without)
    assert f"{table}\n" == HEADER + HALF_ROW.replace("0.53", "?")


def test_what_changes_little_of_an_earlier_one_names_it(tmp_path: Path) -> None:
    sgd = {"train.optimizer": "sgd", "train.epochs": 3, "model.dropout": 0.5}
    experiments = read(
        tmp_path,
        definition("lesson", LESSON),
        definition("sgd", sgd),
        definition("longer-sgd", sgd | {"train.epochs": 9}),
        definition("longer", {"train.epochs": 9}),
    )
    table = results_table(experiments.values(), {})
    changes = [line.split(" | ")[1] for line in table.splitlines()[2:]]
    assert changes == [
        "",
        "`dropout: 0.5`, `epochs: 3`, `optimizer: sgd`",
        "`sgd`, but `epochs: 9`",
        "`epochs: 9`",
    ]


def test_table_of_a_page_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    experiments = made_up(tmp_path)
    path = tmp_path / "page.md"
    page_with = "# Title\n\nProse\n<!-- experiments -->\n{}<!-- end of experiments -->\nEnd\n"
    path.write_text(page_with.format("old\n\nolder\n"))
    text = results_page.fill_table(path, experiments, RESULTS)
    assert text == page_with.format(HEADER + LESSON_ROW + HALF_ROW + MLP_ROW + LOST_ROW)
    path.write_text(text)
    assert results_page.fill_table(path, experiments, RESULTS) == text


def test_page_without_a_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("# Title\n")
    with pytest.raises(PipelineError, match=r"page\.md: has no place for a table"):
        results_page.fill_table(path, made_up(tmp_path), RESULTS)


def test_committed_page_has_a_place() -> None:
    experiments = read_experiments(ROOT / "experiments.yaml")
    assert "not run" in results_page.fill_table(ROOT / results_page.PAGE, experiments, {})


def test_points_of_the_curve_are_the_runs_of_its_lines(tmp_path: Path) -> None:
    on_curve = definition("half", {"prepare.train_samples": 1000}).replace(
        "params", "learning_curve: Line\n  params"
    )
    found = read(
        tmp_path,
        definition("lesson", LESSON),
        on_curve,
        on_curve.replace("half", "later"),
        definition("lost", {}),
    )
    (point,) = results_page.curve_points(found, RESULTS).to_dict("records")
    assert point == {
        "curve": "Line",
        "images": 1000,
        "error": pytest.approx(0.1),
        "error_low": pytest.approx(0.0943),
        "error_high": pytest.approx(0.106),
    }


def test_experiment_that_fails_leaves_the_one_that_had_its_name(
    defined: dict[str, Experiment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> str:
        me = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        run = subprocess.run(["git", *me, *words], capture_output=True, text=True, check=True)
        return run.stdout.strip()

    def fail(*_: object) -> None:
        assert not git("for-each-ref", "refs/exps")
        raise PipelineError("mlp: `dvc exp run` failed")

    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "First")
    head = git("rev-parse", "HEAD")
    ref = f"refs/exps/{head[:2]}/{head[2:]}/mlp"
    git("update-ref", ref, head)
    monkeypatch.setattr(runner, "remove_experiment", lambda _: git("update-ref", "-d", ref))
    monkeypatch.setattr(runner, "run_experiment", fail)

    with pytest.raises(PipelineError):
        runner._run(defined["mlp"], present(), {})

    assert git("rev-parse", ref) == head


TINY = {**LESSON, **SMALL}
DEFINITIONS = [
    definition("lesson", TINY),
    definition("mlp", {"model.conv_blocks": []}),
    definition("too-many", {"prepare.train_samples": 60_000}),
    definition("copied", {"prepare.dataset": "copied"}),
    definition("partial", {"prepare.dataset": "partial"}),
]


@pytest.fixture(scope="session")
def experimented(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """Experiments on top of uncommitted changes, run twice; read only."""

    def build(path: Path) -> dict[str, Any]:
        clone = reproduced.copy_to(path)
        clone.edit_params({"model.dropout": 0.25})  # which experiments are not about
        (path / "experiments.yaml").write_text("".join(DEFINITIONS))
        (path / "data/raw/partial").mkdir()
        (path / "data/raw/partial/classes.txt").write_text("\n".join("0123456789") + "\n")
        clone.run("git", "add", "experiments.yaml", "data/raw/partial")
        seen: dict[str, Any] = {"before": observe(clone)}
        call, stages = run_noted(clone, *RUN)
        seen["first"] = call.returncode, call.stdout, stages
        seen["after"] = observe(clone)
        seen["params"] = {
            name: clone.run("git", "show", f"{commit}:params.yaml").stdout
            for name, commit in experiments_of(clone).items()
        }
        (path / ".git/info/exclude").write_text("/data/raw/copied\n/data/raw/partial/*.gz\n")
        for name in ("copied", "partial"):
            images = path / "data/raw" / name
            shutil.copytree(path / "data/raw/mnist", images, dirs_exist_ok=True)
        call, stages = run_noted(clone, *RUN, "lesson", "mlp", "copied", "partial")
        seen["second"] = call.returncode, call.stdout, stages
        seen["experiments"] = list(experiments_of(clone))
        return seen

    return observe_once(tmp_path_factory, "experimented", build)


def test_experiments_run_on_their_own_params_and_leave_the_working_tree(
    experimented: Observed,
) -> None:
    seen = experimented.seen
    assert seen["after"] == seen["before"]
    assert set(seen["params"]) == {"lesson", "mlp"}
    assert all("dropout: 0.0" in text for text in seen["params"].values())
    _, output, _ = seen["first"]
    lines = output.splitlines()
    assert "    dvc exp run --name mlp -S 'model.conv_blocks=[]' -S model.dropout=0.0" in lines
    assert sum(line.startswith("    test accuracy 0.") for line in lines) == 2


def test_failing_experiment_is_said_and_stops_no_other(experimented: Observed) -> None:
    code, output, stages = experimented.seen["first"]
    assert code == 1
    lines = output.splitlines()
    assert "too-many: `dvc exp run` failed:" in lines
    assert any("prepare.train_samples" in line for line in lines)
    assert lines[-1] == "failed: too-many"
    assert "Traceback" not in output
    assert stages.count("pipeline.train") == 1


def test_experiment_without_its_data_is_skipped(experimented: Observed) -> None:
    _, output, _ = experimented.seen["first"]
    for name, fault in {"copied": "no such folder", "partial": "has no data set"}.items():
        (line,) = (line for line in output.splitlines() if line.startswith(f"{name}: "))
        assert line.startswith(f"{name}: skipped: data/raw/{name}: {fault}; ")


def test_repeated_experiment_trains_nothing(experimented: Observed) -> None:
    code, output, stages = experimented.seen["second"]
    assert code == 0, output
    assert "pipeline.train" not in stages
    assert sorted(experimented.seen["experiments"]) == ["copied", "lesson", "mlp", "partial"]


def test_data_that_git_does_not_know_is_copied(experimented: Observed) -> None:
    _, _, stages = experimented.seen["second"]
    # Its images are those of MNIST, so only what names the data set runs.
    assert stages == ["pipeline.prepare", "pipeline.publish --after pipeline.plot"] * 2


def test_table_and_figure_come_from_the_runs(experimented: Observed, tmp_path: Path) -> None:
    clone = experimented.clone.copy_to(tmp_path / "repository")
    assert clone.run("python", *RUN, "--table").stdout.startswith("4 of 5 experiments have a run")
    text = (clone.path / "docs/experiments.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    evaluation = json.loads(
        clone.run("git", "show", f"{experiments_of(clone)['mlp']}:metrics/evaluation.json").stdout
    )
    assert rows[1][5] == str(evaluation["errors"])
    assert rows[1][3] == f"{28 * 28 * 10:,}"  # of the softmax regression
    assert rows[0][7] == "1 |"
    assert rows[2][4] == "not run"
    before = (clone.path / results_page.PAGE).read_bytes()
    clone.run("python", *RUN, "--table")
    assert (clone.path / results_page.PAGE).read_bytes() == before


def test_lost_runs_come_back_without_training(experimented: Observed, tmp_path: Path) -> None:
    clone = experimented.clone.copy_to(tmp_path / "repository")
    lose_store(clone)
    _, stages = run_noted(clone, *RUN, "lesson", "mlp")
    assert stages == []
    assert {run.info.run_name for run in runs_of(clone)} == {"lesson", "mlp"}
    assert clone.run("python", *RUN, "--table").stdout.startswith("2 of 5 experiments have a run")


def test_store_that_hangs_costs_a_line_and_seconds(experimented: Observed, tmp_path: Path) -> None:
    clone = experimented.clone.copy_to(tmp_path / "repository")
    with failing_server(hang) as server:
        call, _ = run_noted(clone, *RUN, "lesson", "mlp", MLFLOW_TRACKING_URI=server.uri)
    assert call.returncode == 0
    (line,) = (line for line in call.stdout.splitlines() if line.startswith("MLflow: "))
    assert "DVC has all results" in line
    assert call.stdout.count("test accuracy 0.") == 2


def fault_of(clone: Clone, *arguments: str, code: int = 1) -> str:
    result = clone.run("python", *RUN, *arguments, check=False)
    assert result.returncode == code
    assert "Traceback" not in result.stdout
    return result.stdout.splitlines()[-1]


def test_what_cannot_be_run_is_refused_before_anything_runs(reproduced: Clone) -> None:
    assert fault_of(reproduced, "mlp", "cnn").startswith(
        "experiments.yaml: has no cnn; it has lesson, mlp, dropout"
    )
    assert fault_of(reproduced, "lesson", "fashion-mnist") == (
        "fashion-mnist: data/raw/fashion-mnist: has no data set; `make fashion-mnist` gets it"
    )
    assert fault_of(reproduced, "--table", "mlp", code=2).endswith("name none")
    assert experiments_of(reproduced) == {}


def test_list_runs_nothing(reproduced: Clone) -> None:
    output = reproduced.run("python", *RUN, "mlp", "--list").stdout
    name, command = output.splitlines()
    assert name.startswith("mlp: ")
    assert "-S 'model.conv_blocks=[]'" in command
    assert experiments_of(reproduced) == {}


def test_docs_are_not_overwritten_where_nothing_was_run(reproduced: Clone) -> None:
    assert fault_of(reproduced, "--table").startswith("MLflow: has no run of any experiment")
