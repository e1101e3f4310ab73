"""`pipeline.seeds` trains with several seeds, each once, and leaves all but its file as it was."""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow.entities import Run

from pipeline.seeds import read_count
from pipeline.tracking.deadline import VARIABLE
from pipeline.tracking.store import EXPERIMENT
from pipeline.tracking.view import TAG
from tests.conftest import Clone
from tests.end_to_end.test_rebuild import PUBLISH_ALL, content_of
from tests.faulty_server import failing_server, hang
from tests.mlflow_store import client_of, lose_store, runs_of, state_of
from tests.noted import Observed, observe_once, run_noted
from tests.processes import TIMEOUT, wait_until

SEEDS = ("python", "-m", "pipeline.seeds", "--seeds")
CONFIDENCE = 0.9
T_90_2 = 2.919986  # 95th percentile of Student's t with 2 degrees of freedom, from a printed table


def descendants(process: subprocess.Popen[str], word: str) -> list[psutil.Process]:
    """Return the processes that one has started, directly or not, to run what has this name."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if word in child.cmdline():
                found.append(child)
    return found


def observe(clone: Clone) -> dict[str, Any]:
    """Return all that a call must leave as it was: files, what is staged and what Git keeps."""
    names = clone.run("git", "ls-files", "-z").stdout.split("\0")
    files = {name: (clone.path / name).read_bytes().hex() for name in names if name}
    outputs = clone.read()
    outputs.pop("metrics/seeds.json", None)
    status = clone.run("git", "status", "--porcelain").stdout.splitlines()
    return {
        "tracked": files,
        "outputs": {name: content.hex() for name, content in outputs.items()},
        "staged": clone.run("git", "diff", "--cached").stdout,
        "status": [line for line in status if line != "?? metrics/seeds.json"],
        "stash": clone.run("git", "stash", "list").stdout,
    }


def experiments_of(clone: Clone) -> dict[str, str]:
    """Return the commit of each DVC experiment by its name, and whatever else DVC has left."""
    listed = clone.run("git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/exps")
    refs = dict(line.split() for line in listed.stdout.splitlines())
    copies = [path.name for path in (clone.path / ".dvc/tmp/exps/standalone").glob("tmp*")]
    return {name.rpartition("/")[2]: sha for name, sha in refs.items()} | dict.fromkeys(copies, "")


def train_second(clone: Clone, call: subprocess.Popen[str]) -> bool:
    """Tell whether a call has trained with one other seed, and trains with the next."""
    is_first_done = any(name.startswith("seed-1-") for name in experiments_of(clone))
    return is_first_done and bool(descendants(call, "pipeline.train"))


def stop(
    clone: Clone,
    count: int,
    when: Callable[[Clone, subprocess.Popen[str]], bool],
    how: Callable[[int], None],
) -> tuple[int, str]:
    """Stop a call as soon as something holds; return its exit code and output."""
    call = clone.popen(*SEEDS, str(count))
    try:
        wait_until(lambda: call.poll() is not None or when(clone, call))
        how(call.pid)
        output, _ = call.communicate(timeout=TIMEOUT)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(call.pid, signal.SIGKILL)
    return call.returncode, output


def press_ctrl_c(pid: int) -> None:
    os.killpg(pid, signal.SIGINT)  # as a terminal does


def terminate(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


def run_seeds(clone: Clone, count: int, fail: str = "", **env: str) -> tuple[str, list[str]]:
    """Return the output of a call, and which stages have run."""
    call, stages = run_noted(clone, *SEEDS[1:], str(count), fail=fail, **env)
    assert bool(call.returncode) == bool(fail), call.stdout
    return call.stdout, stages


@pytest.fixture(scope="session")
def seeded(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """Three seeds, the last of which was interrupted and resumed; read only."""

    def build(path: Path) -> dict[str, Any]:
        clone = reproduced.copy_to(path)
        clone.edit_params({"evaluate.confidence": CONFIDENCE})
        clone.run("dvc", "repro")
        (path / "params.yaml").open("a").write("# staged\n")
        clone.run("git", "add", "params.yaml")
        (path / "params.yaml").open("a").write("# not staged\n")
        seen: dict[str, Any] = {"before": observe(clone)}
        seen["interrupted"] = stop(clone, 3, train_second, press_ctrl_c)
        seen["left"] = observe(clone)
        seen["finished"] = list(experiments_of(clone))
        seen["written"] = (path / "metrics/seeds.json").exists()
        seen["resumed"] = clone.run(*SEEDS, "3").stdout
        seen["after"] = observe(clone)
        return seen

    return observe_once(tmp_path_factory, "seeded", build)


@pytest.fixture
def clone_of_seeds(seeded: Observed, tmp_path: Path) -> Clone:
    """A copy of the clone with three seeds that the test may change."""
    return seeded.clone.copy_to(tmp_path / "repository")


def read_spread(clone: Clone) -> dict[str, Any]:
    spread: dict[str, Any] = json.loads((clone.path / "metrics/seeds.json").read_text())
    return spread


def describe_runs(clone: Clone) -> list[dict[str, Any]]:
    """Return all of each run but where its artifacts lie, which is another place in a copy."""
    runs = [run.to_dictionary() for run in runs_of(clone)]
    for run in runs:
        run["info"].pop("artifact_uri")
    return runs


def group_of(clone: Clone) -> tuple[Run, dict[str, Run]]:
    """Return the one run that is a parent, and its children by their states."""
    (parent,) = (run for run in runs_of(clone) if "recipe" in run.data.tags)
    children = [
        run
        for run in runs_of(clone)
        if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    ]
    by_state = {run.data.tags["state"]: run for run in children}
    assert len(by_state) == len(children)
    return parent, by_state


def test_another_seed_gives_what_reproducing_with_it_gives(seeded: Observed, clone: Clone) -> None:
    shutil.rmtree(clone.path / ".dvc/cache/runs")  # nothing is taken from what was run before
    clone.edit_params({"evaluate.confidence": CONFIDENCE, "train.seed": 2})
    output = clone.run("dvc", "repro", PIPELINE_MLFLOW="off").stdout
    assert "> python -m pipeline.train" in output
    evaluation = json.loads((clone.path / "metrics/evaluation.json").read_text())
    run = read_spread(seeded.clone)["runs"][2]
    assert (run["seed"], run["state"]) == (2, state_of(clone))
    for name in ("accuracy", "loss", "expected_calibration_error"):
        assert run[name] == evaluation[name]


def test_file_describes_the_accuracies(seeded: Observed) -> None:
    spread = read_spread(seeded.clone)
    accuracies = [run["accuracy"] for run in spread["runs"]]
    assert len(set(accuracies)) == 3
    mean, std = statistics.mean(accuracies), statistics.stdev(accuracies)
    half = T_90_2 * std / 3**0.5
    evaluation = json.loads((seeded.clone.path / "metrics/evaluation.json").read_text())
    expected = {
        "state": state_of(seeded.clone),
        "seeds": 3,
        "accuracy_mean": pytest.approx(mean, abs=1e-6),
        "accuracy_std": pytest.approx(std, abs=1e-6),
        "accuracy_low": pytest.approx(mean - half, abs=2e-6),
        "accuracy_high": pytest.approx(mean + half, abs=2e-6),
        "confidence": CONFIDENCE,
    }
    assert {name: spread[name] for name in expected} == expected
    losses = [run["loss"] for run in spread["runs"]]
    assert spread["loss_mean"] == pytest.approx(statistics.mean(losses), abs=1e-6)
    assert losses[0] == evaluation["loss"]
    assert [run["seed"] for run in spread["runs"]] == [0, 1, 2]
    assert spread["runs"][0]["accuracy"] == evaluation["accuracy"]
    assert spread["runs"][0]["state"] == spread["state"]


def test_working_tree_and_index_stay_as_they_were(seeded: Observed) -> None:
    seen = seeded.seen
    assert seen["before"]["staged"]
    assert seen["after"] == seen["before"]
    assert sorted(name.rpartition("-")[0] for name in experiments_of(seeded.clone)) == [
        "seed-1",
        "seed-2",
    ]


def test_interrupted_call_leaves_nothing_half_and_is_resumed(seeded: Observed) -> None:
    seen = seeded.seen
    code, output = seen["interrupted"]
    assert code == 130
    assert "2 of 3 seeds are done and kept" in output
    assert "Traceback" not in output
    assert seen["left"] == seen["before"]
    assert [name.rpartition("-")[0] for name in seen["finished"]] == ["seed-1"]
    assert not seen["written"]
    _, first, second, *_ = seen["resumed"].splitlines()
    assert first.startswith("seed 1: test accuracy")
    assert first.endswith("(cached)")
    assert second.startswith("seed 2: test accuracy")
    assert not second.endswith("(cached)")


def test_call_that_is_terminated_while_dvc_makes_its_copy_leaves_none(
    clone_of_seeds: Clone,
) -> None:
    before = observe(clone_of_seeds), experiments_of(clone_of_seeds)

    def make_copy(_clone: Clone, call: subprocess.Popen[str]) -> bool:
        return bool(descendants(call, "exp"))

    code, output = stop(clone_of_seeds, 4, make_copy, terminate)
    assert code == 143
    assert "3 of 4 seeds are done and kept" in output
    assert (observe(clone_of_seeds), experiments_of(clone_of_seeds)) == before


def test_runs_are_grouped_under_one_parent(seeded: Observed) -> None:
    spread = read_spread(seeded.clone)
    parent, children = group_of(seeded.clone)
    assert set(children) == {run["state"] for run in spread["runs"]}
    for run in spread["runs"]:
        child = children[run["state"]]
        assert child.data.metrics["test_accuracy"] == run["accuracy"]
        assert child.data.params["train.seed"] == str(run["seed"])
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "seeds of confidence=0.9"
    for name in ("mean", "std", "low", "high"):
        for key in (f"accuracy_{name}", f"loss_{name}"):
            assert parent.data.metrics[f"seeds_{key}"] == spread[key]
    assert parent.data.metrics["seeds"] == 3
    assert parent.data.params["evaluate.confidence"] == "0.9"
    assert not parent.data.tags.keys() & {"state", "training", "incomplete"}


def test_view_has_columns_of_what_the_parent_shows(clone_of_seeds: Clone) -> None:
    clone_of_seeds.run("python", "-c", "from pipeline.tracking import view; view.give_view()")
    experiment = client_of(clone_of_seeds).get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    view = json.loads(experiment.tags[TAG])
    state = json.loads(view["state"])
    shown = {f"metrics.`seeds_accuracy_{name}`" for name in ("mean", "std")}
    assert shown <= set(state["selectedColumns"])
    assert sorted(state["columnOrder"]) == sorted(state["selectedColumns"])


def test_repeated_call_runs_nothing_also_after_a_commit(clone_of_seeds: Clone) -> None:
    clone = clone_of_seeds
    written = (clone.path / "metrics/seeds.json").read_bytes()
    experiments, runs = experiments_of(clone), describe_runs(clone)
    clone.commit("Record the spread")
    output, stages = run_seeds(clone, 3)
    assert output.count("(cached)") == 2
    assert stages == []
    assert (clone.path / "metrics/seeds.json").read_bytes() == written
    assert experiments_of(clone) == experiments
    assert describe_runs(clone) == runs
    assert clone.run("git", "status", "--porcelain").stdout == ""
    assert "up to date" in clone.run("dvc", "status").stdout
    shown = json.loads(clone.run("dvc", "metrics", "show", "--json").stdout)
    mean = read_spread(clone)["accuracy_mean"]
    assert shown[""]["data"]["metrics/seeds.json"]["data"]["accuracy_mean"] == mean

    clone.run(*PUBLISH_ALL)
    assert len(runs_of(clone)) == len(runs)
    assert len(group_of(clone)[1]) == 3


def test_lost_experiments_and_runs_come_back_without_training(clone_of_seeds: Clone) -> None:
    clone = clone_of_seeds
    states = {run["state"] for run in read_spread(clone)["runs"][:2]}
    before = {run.data.tags["state"]: run for run in runs_of(clone) if "state" in run.data.tags}
    contents = {state: content_of(clone, before[state]) for state in states}
    clone.run("dvc", "exp", "remove", "--all-commits")
    lose_store(clone)
    output, stages = run_seeds(clone, 2)
    assert stages == []
    assert "(cached)" not in output
    assert {run["state"] for run in read_spread(clone)["runs"]} == states
    parent, children = group_of(clone)
    assert {state: content_of(clone, run) for state, run in children.items()} == contents
    assert len(runs_of(clone)) == 3
    assert parent.info.status == "FINISHED"


def test_fewer_seeds_are_what_is_asked_for_and_an_empty_group_goes(clone_of_seeds: Clone) -> None:
    clone, client = clone_of_seeds, client_of(clone_of_seeds)
    parent, children = group_of(clone)
    old = client.create_run(parent.info.experiment_id, tags={"recipe": "of former code"})
    two = read_spread(clone)["runs"][:2]
    for run in two:
        child = children[run["state"]]
        client.set_tag(child.info.run_id, "mlflow.parentRunId", old.info.run_id)
    _, stages = run_seeds(clone, 2)
    assert stages == []
    assert read_spread(clone)["runs"] == two
    assert client.get_run(old.info.run_id).info.lifecycle_stage == "deleted"
    parent, children = group_of(clone)
    assert len(children) == 3
    assert parent.data.metrics["seeds"] == 2


def test_store_that_fails_costs_a_line_and_seconds(clone_of_seeds: Clone) -> None:
    del clone_of_seeds.env[VARIABLE]
    without, faults = time_seeds(clone_of_seeds, PIPELINE_MLFLOW="off")
    assert faults == []
    with failing_server(hang) as server:
        seconds, faults = time_seeds(clone_of_seeds, MLFLOW_TRACKING_URI=server.uri)
    # 10 s are allowed; on a machine under load one may also be slower than the other.
    assert seconds < 3 * without + 20
    (fault,) = faults
    assert "metrics/seeds.json does not depend on it" in fault


def time_seeds(clone: Clone, **env: str) -> tuple[float, list[str]]:
    """Write the file of three seeds again; return the seconds, and what is said of MLflow."""
    (clone.path / "metrics/seeds.json").unlink()
    start = time.monotonic()
    output, _ = run_seeds(clone, 3, **env)
    seconds = time.monotonic() - start
    assert "Traceback" not in output
    assert read_spread(clone)["seeds"] == 3
    return seconds, [line for line in output.splitlines() if line.startswith("MLflow: ")]


def test_failing_stage_is_said_with_its_seed(clone_of_seeds: Clone) -> None:
    before = (clone_of_seeds.path / "metrics/seeds.json").read_bytes()
    output, _ = run_seeds(clone_of_seeds, 4, fail="-m pipeline.train")
    lines = output.splitlines()
    assert any(re.fullmatch("seed-3-.{7}: `dvc exp run` failed:", line) for line in lines)
    assert "    the disk is on fire" in lines
    assert "Traceback" not in output
    assert (clone_of_seeds.path / "metrics/seeds.json").read_bytes() == before


def fault_of(clone: Clone, count: str, code: int) -> str:
    result = clone.run(*SEEDS, count, check=False)
    assert result.returncode == code
    assert "Traceback" not in result.stdout
    return result.stdout.splitlines()[-1]


def test_number_of_seeds_is_checked(reproduced: Clone) -> None:
    fault = fault_of(reproduced, "1", 2)
    assert fault.endswith("argument --seeds: must be a whole number, at least 2, got 1")
    for count in ("0", "-3", "many", "2.5", "", "²"):
        with pytest.raises(ArgumentTypeError, match=f"got {count}$"):
            read_count(count)


def test_what_is_not_reproduced_is_refused(clone: Clone) -> None:
    clone.edit_params({"train.seed": 2**32 - 2})
    assert fault_of(clone, "3", 1).startswith("--seeds: only 2 seeds follow from train.seed")
    assert fault_of(clone, "2", 1) == (
        "DVC: not as dvc.lock has it: train, plot; `dvc repro` first"
    )


def test_what_git_does_not_know_is_refused(clone: Clone) -> None:
    (clone.path / "pipeline/new.py").touch()
    assert fault_of(clone, "2", 1).startswith("Git: does not know pipeline/new.py; ")


def test_repository_without_commits_is_refused(clone: Clone) -> None:
    clone.run("git", "checkout", "--quiet", "--orphan", "new")
    assert fault_of(clone, "2", 1).startswith("Git: there is no commit")


def test_held_lock_is_said(clone: Clone) -> None:
    hold = "from dvc.repo import Repo; repo = Repo()\nwith repo.lock: print(flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold],
        cwd=clone.path,
        env=clone.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout
    holder.stdout.readline()
    assert "another DVC process is running" in fault_of(clone, "2", 1)
    holder.communicate(b"\n")
