"""What is measured: each function returns Markdown, and notes its targets."""

from pathlib import Path
from statistics import median

from benchmarks.bench import Bench, report
from benchmarks.clone import ROOT, Clone, Run
from benchmarks.table import Target, number, table
from benchmarks.workers import TIMED

INSTRUCTION_SETS = {
    "default": {},
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "AVX2, without oneDNN's operations": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "TF_ENABLE_ONEDNN_OPTS": "0",
    },
}
STAGES = ("prepare", "train", "evaluate")
PLAIN = "plain script"
# What it runs once .venv is there.
MAKE_REPRO = "python -m pipeline.check --stages && python -m pipeline.repro"
ELSEWHERE = {"PYTHONHASHSEED": "42", "TZ": "Pacific/Auckland", "LC_ALL": "C"}


def measure_stages(bench: Bench) -> str:
    """Run each stage and the plain script, one after the other, in several turns."""
    bench.run("dvc", "repro")
    turns = [_run_stages(bench, turn) for turn in range(bench.repetitions)]
    around = median(turn["train"].seconds - _epochs(turn["train"]) for turn in turns)
    evaluated = median(turn["evaluate"].seconds / turn[PLAIN].seconds for turn in turns)
    plotted = median(turn["plot"].seconds for turn in turns)
    bench.at_most("`train` without its epochs", around, 5, " s")
    bench.at_most("`evaluate`, to plain script", evaluated, 0.18)
    bench.at_most("`plot`, which also publishes", plotted, 3.5, " s")
    lines = (
        [
            name,
            *(number(turn[name].seconds) for turn in turns),
            number(median(turn[name].seconds for turn in turns)),
            number(max(turn[name].peak_mb for turn in turns)),
        ]
        for name in turns[0]
    )
    numbered = (f"turn {turn}, s" for turn in range(1, len(turns) + 1))
    return table(["", *numbered, "median, s", "peak MB"], lines)


def _run_stages(bench: Bench, turn: int) -> dict[str, Run]:
    """Run each stage and the plain script once.

    `plot` also publishes a new state, and so is run by DVC, whose own time is subtracted.
    """
    commands = {name: ("-m", f"pipeline.{name}") for name in STAGES} | {"train": ("-c", TIMED)}
    runs = {name: bench.run("python", *command) for name, command in commands.items()}
    bench.clone.edit_params({"evaluate.confidence": round(0.8 + turn / 1000, 3)})
    bench.run("dvc", "repro", "evaluate")
    plot, nothing = bench.run("dvc", "repro", "plot"), bench.run("dvc", "repro")
    runs["plot"] = plot._replace(seconds=plot.seconds - nothing.seconds)
    runs[PLAIN], _ = bench.run_plain()
    return runs


def _epochs(train: Run) -> float:
    """Return the seconds of all epochs, with validation, as if the first took no longer."""
    _, *ends = [float(line) for line in train.output.splitlines()]
    return (ends[-1] - ends[0]) * len(ends) / (len(ends) - 1)


def measure_scenarios(bench: Bench) -> str:
    """Run `dvc repro` where little is to do, and `prepare` on all images."""
    bench.run("dvc", "repro")
    figures, params = (
        bench.clone.path / name for name in ("pipeline/figures/curves.py", "params.yaml")
    )
    kept = {path: path.read_text() for path in (figures, params)}
    names = ("nothing to do", "`make repro`, nothing to do", "only plot", "evaluate, plot")
    scenarios: dict[str, list[Run]] = {name: [] for name in names}
    for repetition in range(bench.repetitions):
        scenarios["nothing to do"].append(_repro(bench))
        scenarios["`make repro`, nothing to do"].append(bench.run("sh", "-c", MAKE_REPRO))
        figures.write_text(f"{figures.read_text()}# {repetition}\n")
        scenarios["only plot"].append(_repro(bench, "plot"))
        bench.clone.edit_params({"evaluate.confidence": round(0.9 + repetition / 1000, 3)})
        scenarios["evaluate, plot"].append(_repro(bench, "evaluate", "plot"))
    bench.clone.edit_params({"prepare.train_samples": 55000, "prepare.val_samples": 5000})
    prepare = [bench.run("python", "-m", "pipeline.prepare") for _ in range(bench.repetitions)]
    scenarios["`prepare`, 60,000 images"] = prepare
    for path, text in kept.items():
        path.write_text(text)

    seconds = {name: median(run.seconds for run in runs) for name, runs in scenarios.items()}
    bench.at_most("nothing to do", seconds["nothing to do"], 0.7, " s")
    made = "`make repro`, nothing to do"
    bench.at_most(made, seconds[made], 2.5, " s")
    bench.at_most("only `plot` to do", seconds["only plot"], 5, " s")
    bench.at_most("`prepare`, 60,000 images", seconds["`prepare`, 60,000 images"], 1.5, " s")
    peak = max(run.peak_mb for run in prepare)
    bench.at_most("`prepare`, 60,000 images", peak, 300, " MB")
    lines = (
        [name, number(seconds[name]), *(number(run.seconds) for run in runs)]
        for name, runs in scenarios.items()
    )
    runs = (f"run {run}" for run in range(1, bench.repetitions + 1))
    return table(["s", "median", *runs], lines)


def _repro(bench: Bench, *stages: str) -> Run:
    """Run `dvc repro`, in which just these stages must run."""
    run = bench.run("dvc", "repro")
    lines = run.output.splitlines()
    ran = [line.split("'")[1] for line in lines if line.startswith("Running stage")]
    if ran != list(stages):
        raise SystemExit(f"these stages ran: {ran}, expected {list(stages)}\n{run.output}")
    return run


def compare_bytes(bench: Bench) -> str:
    """Make everything again, here and in another folder and environment."""
    bench.run("dvc", "repro")
    made = bench.clone.digests()
    bench.run("dvc", "repro", "--force")
    again = bench.clone.digests()
    folder = bench.clone.path.parent / "ein Würfel"
    other = Clone.make(folder / "clone", **ELSEWHERE)
    params = Path("params.yaml")
    (other.path / params).write_bytes((bench.clone.path / params).read_bytes())
    report(other.run("dvc", "repro", "--force"), "dvc repro --force", "in another folder")
    lines = []
    for place, digests in {"again": again, "elsewhere": other.digests()}.items():
        names = sorted(made.keys() | digests.keys())
        changed = [name for name in names if made.get(name) != digests.get(name)]
        result = f"other: {', '.join(changed)}" if changed else f"{len(made)} identical files"
        lines.append([place, result])
        bench.targets.append(Target(f"same bytes {place}", "all files", result, not changed))
    return table(["`dvc repro --force`", "result"], lines)


def measure_instruction_sets(bench: Bench) -> str:
    """Train with the settings that decide which instructions TensorFlow may use."""
    lines = {name: [name] for name in INSTRUCTION_SETS}
    for _ in range(bench.repetitions):
        for name, env in INSTRUCTION_SETS.items():
            _, measured = bench.run_plain("--no-stall", "--epochs=3", "--test-samples=64", env=env)
            lines[name].append(number(measured["images_per_second"]))
    runs = (f"run {run}" for run in range(1, bench.repetitions + 1))
    return table(["images/s", *runs], lines.values())


def measure_stall(bench: Bench) -> str:
    """Show what Keras on arrays waits for; see `benchmarks.stall`."""
    small = ["--small"] if bench.small else []
    run = bench.clone.run("python", "-m", "benchmarks.stall", *small, cwd=ROOT)
    report(run, "stall")
    return run.output.strip()


def measure_serving(bench: Bench) -> str:
    """Promote the state of the clone, and put load on its server; see `benchmarks.serving`."""
    bench.run("dvc", "repro")
    bench.clone.run("git", "add", "--all")
    me = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com")
    bench.clone.run("git", *me, "commit", "--quiet", "--allow-empty", "--message", "Reproduce")
    bench.run("python", "-m", "pipeline.promote")
    seconds = "1" if bench.small else "20"
    return bench.run("python", "-m", "benchmarks.serving", "--seconds", seconds).output.strip()
