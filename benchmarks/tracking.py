"""What MLflow costs: in training and in a report, and for a history that is published again."""

import hashlib
import re
import shutil
from statistics import median

from benchmarks.bench import Bench, report
from benchmarks.clone import Run
from benchmarks.table import number, row_of_medians, table

STATES = 100
OFF = {"PIPELINE_MLFLOW": "off"}
IDENTITY = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com")


def measure_tracking(bench: Bench) -> str:
    """Run `dvc repro` with nothing cached, with tracking on and off, in turns."""
    bench.run("dvc", "repro")  # makes the database
    rows = []
    for seed in range(1, bench.repetitions + 1):
        order = [{}, OFF] if seed % 2 else [OFF, {}]
        measured = {bool(env): _repro(bench, 1000 + seed, env) for env in order}
        on, off = measured[False], measured[True]
        rows.append([on.seconds, off.seconds, on.seconds - off.seconds, *map(_speed, (on, off))])
    columns = list(zip(*rows, strict=True))
    bench.at_most("MLflow in one `dvc repro`", median(columns[2]), 6, " s")
    header = ["pair", "on, s", "off, s", "difference, s", "on, images/s", "off, images/s"]
    lines = [[str(pair), *map(number, row)] for pair, row in enumerate(rows, start=1)]
    return table(header, [*lines, row_of_medians("median", columns)])


def measure_report(bench: Bench) -> str:
    """Report on another seed, with pictures, with a store to ask for the runs and without."""
    bench.clone.edit_params({"train.seed": 1})
    bench.run("dvc", "repro")
    command = ("python", "-m", "pipeline.report", "HEAD", "--output", "report")
    runs: dict[str, list[Run]] = {"with MLflow's runs": [], "without": []}
    for _ in range(bench.repetitions):
        for (name, measured), env in zip(runs.items(), ({}, OFF), strict=True):
            run = bench.clone.run(*command, env=env)
            report(run, *command)
            if ("### MLflow runs" in run.output) != (name != "without"):
                raise SystemExit(f"not a report {name}:\n{run.output}")
            measured.append(run)
    seconds = {name: median(run.seconds for run in measured) for name, measured in runs.items()}
    bench.at_most("a report", max(seconds.values()), 2.5, " s")
    lines = [
        [name, number(seconds[name]), number(max(run.peak_mb for run in measured))]
        for name, measured in runs.items()
    ]
    return table(["report", "s", "peak MB"], lines)


def _repro(bench: Bench, seed: int, env: dict[str, str]) -> Run:
    bench.clone.forget()
    bench.clone.edit_params({"train.seed": seed})
    run = bench.clone.run("dvc", "repro", env=env)
    report(run, *(f"{name}={value}" for name, value in env.items()), "dvc repro")
    return run


def _speed(run: Run) -> float:
    found = re.search(r"([\d,]+) images/s", run.output)
    if not found:
        raise SystemExit(f"training has not said how fast it was:\n{run.output}")
    return float(found[1].replace(",", ""))


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def measure_history(bench: Bench) -> str:
    """Publish a history of states into an empty store, and once more.

    The states differ in their seed and their model, whose bytes are those of one training with a
    comment of their own: MLflow gets as many models of full size as there are states.
    """
    # Here, as other measurements of memory begin with this process.
    from pipeline.provenance.recorded import read_recorded
    from pipeline.provenance.state import STATE_ID

    bench.run("dvc", "repro")
    path, states = bench.clone.path, 3 if bench.small else STATES
    texts = {name: (path / name).read_text() for name in ("params.yaml", "dvc.lock")}
    model = (path / "models/model.keras").read_bytes()
    made = read_recorded(path).made
    seed = re.search(r"\n  seed: \d+\n", texts["params.yaml"])
    if not seed:
        raise SystemExit("params.yaml: there is no train.seed")
    for number_of_state in range(states):
        other = model + str(number_of_state).encode()
        other_digest = _md5(other)
        cached = path / ".dvc/cache/files/md5" / other_digest[:2] / other_digest[2:]
        cached.parent.mkdir(exist_ok=True)
        cached.write_bytes(other)
        for name, text in texts.items():
            changed = re.sub(r"\bseed: \d+\n", f"seed: {number_of_state}\n", text)
            (path / name).write_text(changed.replace(_md5(model), other_digest))
        state_id = f"{read_recorded(path).state_id}\n".encode()
        lock = (path / "dvc.lock").read_text()
        (path / "dvc.lock").write_text(lock.replace(made[str(STATE_ID)], _md5(state_id)))
        bench.clone.run("git", "add", "--all")
        bench.clone.run("git", *IDENTITY, "commit", "--quiet", "--message", "State")
    (path / "mlflow.db").unlink()
    shutil.rmtree(path / "mlartifacts")
    runs = [bench.run("python", "-m", "pipeline.publish", "--all-commits") for _ in range(2)]
    found = runs[0].output.count("MLflow: created run")
    if found < states:
        raise SystemExit(f"{found} of {states} states were published:\n{runs[0].output}")
    bench.at_most(f"{states} committed states into an empty store", runs[0].seconds, 60, " s")
    lines = [["into an empty store", *map(number, runs[0][:2])]]
    lines.append(["again", *map(number, runs[1][:2])])
    return table([f"{states} states", "s", "peak MB"], lines)
