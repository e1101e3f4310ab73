"""`pipeline.sweep` searches with the real Ray, here and on a cluster, and loses nothing."""

import io
import json
import os
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from ruamel.yaml import YAML

from tests.conftest import Clone, make_once
from tests.mlflow_store import EPOCH_METRICS, epochs_of, runs_of
from tests.noted import Observed, observe_once
from tests.ray_nodes import TIMEOUT, Cluster, started, wait_until

SWEEP = ("python", "-m", "pipeline.sweep")
TRIALS, EPOCHS = 3, 3
SETTINGS: dict[str, object] = {
    "metric": "val_accuracy",
    "trials": TRIALS,
    "concurrent": 1,
    "seed": 0,
    "seconds": None,
    "sampler": "tpe",
    "scheduler": {"grace_epochs": 1, "reduction_factor": 2},
    "space": {
        "model.conv_blocks": {"choice": [[[4, 8]], [[8]]]},
        "model.dropout": {"uniform": [0, 0.5]},
        "train.learning_rate": {"loguniform": [0.0003, 0.03]},
    },
}


def prepare(clone: Clone, **changes: object) -> None:
    """Set what is searched, and commit it."""
    clone.edit_params({"train.threads": 1, "train.epochs": EPOCHS})
    YAML().dump(SETTINGS | changes, clone.path / "sweep.yaml")
    clone.commit("Search")


def journal_of(clone: Clone) -> list[dict[str, Any]]:
    """Return what happened in the one search of a clone, without times."""
    paths = list(clone.path.glob(".dvc/tmp/sweeps/*/journal.jsonl"))
    assert len(paths) <= 1
    lines = [line for path in paths for line in path.read_text().splitlines(keepends=True)]
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    return [
        {name: value for name, value in event.items() if name not in ("time", "seconds")}
        for event in events
    ]


def epochs_of_trials(clone: Clone) -> dict[int, list[dict[str, float]]]:
    epochs: dict[int, list[dict[str, float]]] = {}
    for event in journal_of(clone):
        if event["event"] == "epoch":
            epochs.setdefault(event["trial"], []).append(event["logs"])
    return epochs


def outcomes(clone: Clone) -> dict[int, str]:
    events = [event for event in journal_of(clone) if event["event"] == "end"]
    found = {event["trial"]: event["outcome"] for event in events}
    assert len(found) == len(events)  # each trial ends once
    return found


def interrupt(clone: Clone, sent: signal.Signals, trial: int) -> tuple[int, str, list[int]]:
    """Stop a search in a trial, after an epoch; return code, output, and what is left running."""
    with started(clone, *SWEEP) as call:
        wait_until(lambda: trial in epochs_of_trials(clone), call)
        children = psutil.Process(call.pid).children(recursive=True)
        if sent == signal.SIGKILL:  # of all: agents of Ray outlive the others
            for child in children:
                child.kill()
        os.killpg(call.pid, sent)
        call.wait(TIMEOUT)
        left = psutil.wait_procs(children, timeout=30)[1]
        output = call.stdout.read() if call.stdout and not left else ""
        return call.returncode, output, [process.pid for process in left]


@pytest.fixture(scope="session")
def swept(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone after a search whose winner was run; `output` has what was printed; read only."""

    def build(path: Path) -> None:
        clone = reproduced.copy_to(path)
        prepare(clone)
        (path / ".dvc/tmp").mkdir(exist_ok=True)
        output = clone.run(*SWEEP, "--run").stdout
        (path / ".dvc/tmp/output").write_text(output)

    return make_once(tmp_path_factory, "swept", build)


def best_of(clone: Clone) -> int:
    """Return the number of the best trial: the highest accuracy, then the lowest loss."""
    ended = [number for number, outcome in outcomes(clone).items() if outcome == "finished"]
    last = {number: epochs_of_trials(clone)[number][-1] for number in ended}
    return min(ended, key=lambda n: (-last[n]["val_accuracy"], last[n]["val_loss"], n))


def test_the_best_trial_becomes_a_state_with_the_same_epochs(swept: Clone) -> None:
    output = (swept.path / ".dvc/tmp/output").read_text()
    (line,) = re.findall(r"^Best: trial \d+.*\n +(dvc exp run .*)$", output, re.MULTILINE)
    best = best_of(swept)
    assert f"Best: trial {best}," in output
    words = shlex.split(line)
    name = words[words.index("--name") + 1]
    exported = swept.run("git", "show", f"refs/exps/{_ref(swept, name)}:metrics/history.csv").stdout
    history = pd.read_csv(io.StringIO(exported))
    expected = pd.DataFrame(epochs_of_trials(swept)[best])
    for measure in EPOCH_METRICS:
        assert history[measure].tolist() == expected[measure].tolist()


def _ref(clone: Clone, name: str) -> str:
    refs = clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
    (found,) = (ref for ref in refs if ref.endswith(f"/{name}"))
    return found.removeprefix("refs/exps/")


def test_mlflow_has_one_parent_whose_children_have_curves(swept: Clone) -> None:
    runs = runs_of(swept)
    (parent,) = (run for run in runs if "sweep" in run.data.tags)
    children = [run for run in runs if "trial" in run.data.tags]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["trials"] == TRIALS
    assert parent.data.metrics["best_trial"] == best_of(swept)
    assert sorted(int(run.data.tags["trial"]) for run in children) == list(range(1, TRIALS + 1))
    for run in children:
        number = int(run.data.tags["trial"])
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["outcome"] == outcomes(swept)[number]
        logged = {name: epochs_of(swept, run, name) for name in EPOCH_METRICS}
        for epoch, logs in enumerate(epochs_of_trials(swept)[number], start=1):
            assert {name: logged[name][epoch] for name in EPOCH_METRICS} == logs
        (start,) = (e for e in journal_of(swept) if e["event"] == "start" and e["trial"] == number)
        assert {name: run.data.params[name] for name in start["changes"]} == {
            name: str(value) for name, value in start["changes"].items()
        }


def test_a_search_that_is_over_is_not_repeated(swept: Clone) -> None:
    before = journal_of(swept)
    output = swept.run(*SWEEP).stdout
    assert re.match(rf"sweep \w+: {TRIALS} trials, all done\n", output)
    assert output.splitlines()[-1] in (swept.path / ".dvc/tmp/output").read_text()
    assert journal_of(swept) == before


def test_interrupted_it_goes_on_with_the_same_trials(
    swept: Clone, reproduced: Clone, tmp_path: Path
) -> None:
    clone = reproduced.copy_to(tmp_path / "repository")
    prepare(clone)
    _, _, left = interrupt(clone, signal.SIGKILL, 1)
    assert not left
    code, output, left = interrupt(clone, signal.SIGINT, 2)
    assert (code, left) == (130, [])
    assert "the same command resumes there" in output
    output = clone.run(*SWEEP).stdout
    assert "resumes after" in output
    assert epochs_of_trials(clone) == epochs_of_trials(swept)
    assert outcomes(clone) == outcomes(swept)
    starts = [[e for e in journal_of(c) if e["event"] == "start"] for c in (clone, swept)]
    assert starts[0] == starts[1]
    runs = runs_of(clone)
    assert sum("sweep" in run.data.tags for run in runs) == 1
    assert sum("trial" in run.data.tags for run in runs) == TRIALS


# Prints which images the package itself opens; DVC too reads the files, to see that they are as it
# knows.
WATCH = """
import os, runpy, sys

def watch(event, args):
    if event == "open" and str(args[0]).endswith("_images.npy"):
        frame, modules = sys._getframe(1), set()
        while frame:
            modules.add(frame.f_globals.get("__name__", ""))
            frame = frame.f_back
        if "dvc.repo" not in modules:
            print("opened", os.path.basename(args[0]))

sys.addaudithook(watch)
sys.argv = ["sweep"]
runpy.run_module("pipeline.sweep", run_name="__main__")
"""
# Fails in a trial whose images do not lie in the memory that all processes of a machine share.
SHARED = """
    address = train.images.ctypes.data
    for line in open("/proc/self/maps"):
        start, end = (int(side, 16) for side in line.split()[0].split("-"))
        if start <= address < end:
            assert "/dev/shm/plasma" in line, line
    try:
"""


@pytest.fixture(scope="module")
def mended(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """A clone after a search whose machine had a fault, and which ended once it was fixed."""

    def build(path: Path) -> dict[str, Any]:
        clone = reproduced.copy_to(path)
        prepare(clone, trials=1)
        gpu = path.parent / "gpu"
        module = clone.path / "pipeline/sweep/trainable.py"
        code = module.read_text()
        module.write_text(code.replace("\n    try:\n", f"\n    open('{gpu}'){SHARED}", 1))
        assert SHARED in module.read_text()
        call = clone.run(*SWEEP, check=False)
        (run,) = (run for run in runs_of(clone) if "trial" in run.data.tags)
        failed = call.returncode, call.stdout, journal_of(clone), run.data.tags
        gpu.touch()
        output = clone.run("python", "-c", WATCH).stdout
        return {"gpu": str(gpu), "failed": failed, "output": output}

    return observe_once(tmp_path_factory, "mended", build)


def test_a_search_opens_no_test_images_and_its_trials_share_the_others(mended: Observed) -> None:
    output = mended.seen["output"]
    assert "Best: trial 1" in output
    opened = {line.split()[1] for line in output.splitlines() if line.startswith("opened ")}
    assert opened == {"train_images.npy", "val_images.npy"}


def test_fault_of_the_machine_is_named_and_uses_no_trial_up(mended: Observed) -> None:
    gpu = mended.seen["gpu"]
    code, output, journal, tags = mended.seen["failed"]
    assert code
    assert output.count(f"No such file or directory: '{gpu}'; it starts again") == 3
    assert f"No such file or directory: '{gpu}'; once that is fixed" in output
    assert journal == []
    assert gpu in tags["error"]

    (run,) = (run for run in runs_of(mended.clone) if "trial" in run.data.tags)
    assert run.info.status == "FINISHED"
    assert "error" not in run.data.tags


def test_no_trial_starts_when_the_time_is_over(reproduced: Clone, tmp_path: Path) -> None:
    clone = reproduced.copy_to(tmp_path / "repository")
    prepare(clone, trials=1000, seconds=0.5)
    result = clone.run(*SWEEP, check=False)
    assert result.returncode
    assert "no trial ran to its end; give it more seconds" in result.stdout
    assert len(outcomes(clone)) < 3


def test_on_a_cluster_a_trial_whose_worker_is_killed_is_repeated(
    reproduced: Clone, tmp_path: Path, cluster: Cluster
) -> None:
    for _ in range(2):
        cluster.start()
    clone = reproduced.copy_to(tmp_path / "repository")
    prepare(clone, concurrent=2, scheduler=None)
    clone.edit_params({"train.threads": 2})
    refused = clone.run(*SWEEP, check=False, RAY_ADDRESS=cluster.address, **cluster.env)
    assert "params.yaml: train.threads: must be at most 1, the cores" in refused.stdout
    clone.edit_params({"train.threads": 1})
    with started(clone, *SWEEP, RAY_ADDRESS=cluster.address, **cluster.env) as call:
        wait_until(
            lambda: (
                {place for place, _ in cluster.processes("ImplicitFunc")} == {0, 1}
                and epochs_of_trials(clone)
            ),
            call,
        )
        cluster.processes("ImplicitFunc")[0][1].kill()
        output, _ = call.communicate(timeout=TIMEOUT)
    assert call.returncode == 0, output
    assert "its worker died; it starts again" in output
    assert outcomes(clone) == dict.fromkeys(range(1, TRIALS + 1), "finished"), output
    assert [len(epochs) for epochs in epochs_of_trials(clone).values()] == [EPOCHS] * TRIALS
    assert cluster.is_up  # it is not ours to end


def test_a_cluster_that_is_not_there_is_named(reproduced: Clone, tmp_path: Path) -> None:
    clone = reproduced.copy_to(tmp_path / "repository")
    prepare(clone)
    result = clone.run(*SWEEP, check=False, RAY_ADDRESS="no-address")
    assert result.returncode
    assert "Traceback" not in result.stdout
    assert "no-address" in result.stdout


def test_data_that_is_not_prepared_is_named(reproduced: Clone, tmp_path: Path) -> None:
    clone = reproduced.copy_to(tmp_path / "repository")
    prepare(clone)
    clone.edit_params({"prepare.val_samples": 40})
    result = clone.run(*SWEEP, check=False)
    assert result.returncode
    assert "`dvc repro prepare` first" in result.stdout
