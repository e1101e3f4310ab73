"""The report on states whose metrics are made up: verdicts, tables, warnings and gates."""

import gzip
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml import YAML
from statsmodels.stats.api import CompareMeans, DescrStatsW
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from pipeline import report
from pipeline.core.errors import PipelineError
from pipeline.provenance.recorded import read_recorded
from pipeline.review.pictures import read_test_images
from pipeline.review.reading import at_commit
from tests.conftest import ROOT, Clone
from tests.review_repository import SPLITS, ReviewRepository

ERRORS_HEADER = "image,label,predicted,probability\n"
HALF_AN_IMAGE = ERRORS_HEADER + "".join(f"{image}.5,7,1,0.9\n" for image in range(422))
TWICE_THE_SAMPLES = json.dumps(
    {
        "accuracy": 0.9789,
        "loss": 0.2,
        "errors": 422,
        "samples": 20_000,
        "expected_calibration_error": 0.02,
    }
)
CLASS_THAT_IS_NONE = ERRORS_HEADER + "".join(f"{image},70,1,0.9\n" for image in range(422))
Report = Callable[..., str]
NEAR = [0.9578, 0.957, 0.959, 0.9585, 0.9565]  # that of the base is the first
WIDE = [0.9578, 0.944, 0.962, 0.94, 0.95]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> ReviewRepository:
    """A repository with one commit; read only."""
    path = tmp_path_factory.mktemp("review") / "repository"
    path.mkdir()
    return ReviewRepository(path)


@pytest.fixture
def repo(base: ReviewRepository, tmp_path: Path) -> ReviewRepository:
    copy = base.copy_to(tmp_path / "repository")
    copy.__class__ = ReviewRepository
    assert isinstance(copy, ReviewRepository)
    return copy


@pytest.fixture
def run(
    repo: ReviewRepository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Report:
    """Run the command in the repository, and return what it prints; raise what it raises."""
    monkeypatch.chdir(repo.path)
    monkeypatch.setenv("PIPELINE_MLFLOW", "off")
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "GIT_"))]:
        monkeypatch.delenv(name)

    def run_report(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["report", *arguments])
        report.main()
        return capsys.readouterr().out

    return run_report


def verdict_of(text: str) -> str:
    return text.splitlines()[0].removeprefix("## ")


def state_of_head() -> str:
    with at_commit("HEAD") as found:
        return found.state_id


def known_spread(repo: ReviewRepository, accuracies: list[float]) -> None:
    """Commit to the base what several seeds of it gave."""
    repo.record_seeds(accuracies, state_of_head())
    repo.commit("Record seeds")


def pretend_dvc_has_run(repo: ReviewRepository) -> None:
    """Write what `dvc repro` leaves, which is not in Git."""
    (repo.path / "data/state.txt").write_text(f"{read_recorded(repo.path).state_id}\n")


def propose(repo: ReviewRepository, fixed: int, broken: int, **params: object) -> None:
    repo.run("git", "switch", "--quiet", "--create", "change")
    repo.edit_params({"model.dropout": 0.3} | {k.replace("__", "."): v for k, v in params.items()})
    repo.change_errors(fixed, broken)
    repo.commit("Change")


def test_id_of_the_committed_state_is_the_one_that_plot_wrote(
    reproduced: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reproduced.path)
    assert f"{state_of_head()}\n" == (reproduced.path / "data/state.txt").read_text()


@pytest.mark.parametrize(
    ("fixed", "broken", "accuracies", "expected"),
    [
        (100, 0, NEAR, "A real improvement"),
        (0, 100, NEAR, "A real regression"),
        (
            *(160, 100, WIDE),
            "Not shown to matter: +0.60 points is within what seeds do (this model alone is better "
            "on these images)",
        ),
        (
            *(100, 160, WIDE),
            "Not shown to matter: -0.60 points is within what seeds do (this model alone is worse "
            "on these images)",
        ),
        (110, 100, WIDE, "No difference on these images"),
        (110, 100, None, "No difference on these images"),
        (160, 100, None, "This model is better, and nothing is known about seeds"),
        (100, 160, None, "This model is worse, and nothing is known about seeds"),
    ],
)
def test_verdict_needs_both_the_images_and_the_seeds(
    repo: ReviewRepository,
    run: Report,
    fixed: int,
    broken: int,
    accuracies: list[float] | None,
    expected: str,
) -> None:
    if accuracies:
        known_spread(repo, accuracies)
    propose(repo, fixed, broken)
    text = run()
    assert verdict_of(text) == expected
    after = 0.9578 + (fixed - broken) / 10_000
    assert f"**0.9578 → {after:.4f}**: {(fixed - broken) / 100:+.2f} points" in text
    p_value = mcnemar([[0, fixed], [broken, 0]], exact=True).pvalue
    shown = "< 0.0001" if p_value < 0.0001 else f"= {p_value:.2g}"
    assert f"{fixed} went from wrong to right and {broken} from right to wrong, p {shown} " in text
    assert ("python -m pipeline.seeds" in text) == (accuracies is None)


def test_seeds_of_both_sides_are_compared_by_their_means(
    repo: ReviewRepository, run: Report
) -> None:
    known_spread(repo, WIDE)
    propose(repo, 160, 100)
    better = [0.9638, 0.964, 0.968, 0.966, 0.962]
    repo.record_seeds(better, state_of_head())
    repo.commit("Record seeds of the change")
    text = run()
    assert verdict_of(text) == "A real improvement"
    assert "Welch's test" in text
    compared = CompareMeans(DescrStatsW(better), DescrStatsW(WIDE))
    p_value = compared.ttest_ind(usevar="unequal")[1]
    low, high = compared.tconfint_diff(usevar="unequal")
    assert f"interval {100 * low:+.2f} to {100 * high:+.2f}, p = {p_value:.2g}" in text


def test_seeds_that_would_be_needed_are_named(repo: ReviewRepository, run: Report) -> None:
    known_spread(repo, WIDE)
    propose(repo, 160, 100)
    observed = abs(0.9638 - sum(WIDE) / len(WIDE))
    effect = observed / pd.Series(WIDE).std()
    needed = TTestIndPower().solve_power(effect, alpha=0.05, power=0.8)
    assert f"{-(-needed // 1):.0f} seeds on each side would be needed" in run()


def test_another_seed_alone_is_never_an_improvement(repo: ReviewRepository, run: Report) -> None:
    propose(repo, 160, 0, model__dropout=0.0, train__seed=1)
    text = run()
    assert verdict_of(text) == (
        "Not shown to matter: only the seed was changed (this model alone is better on these "
        "images)"
    )
    assert "nothing was changed but the seed" in text


def test_spread_of_another_state_is_not_used(repo: ReviewRepository, run: Report) -> None:
    repo.record_seeds(NEAR, "0" * 32)
    repo.commit("Record seeds of something else")
    propose(repo, 160, 100)
    text = run()
    assert verdict_of(text) == "This model is better, and nothing is known about seeds"


def test_fewer_test_images_are_the_first_and_compared_in_pairs(
    repo: ReviewRepository, run: Report
) -> None:
    before = {image for image in repo.errors()["image"] if image < 5000}
    repo.run("git", "switch", "--quiet", "--create", "change")
    repo.change_test_images(samples=5000, errors=400)
    repo.relock(**{"models/model.keras": "another"})
    repo.commit("Test on fewer images")
    after = set(repo.errors()["image"])
    fixed, broken = len(before - after), len(after - before)
    text = run()
    assert f"{fixed} went from wrong to right and {broken} from right to wrong" in text
    assert f"{100 * (fixed - broken) / 5000:+.2f} points" in text
    assert f"Test accuracy **{1 - len(before) / 5000:.4f} → 0.9200**" in text
    assert "on the first 5,000 test images, which both were tested on" in text
    assert "All 10 classes" not in text  # whose images are not counted for the first ones


def test_another_data_set_is_shown_beside_and_not_compared(
    repo: ReviewRepository, run: Report
) -> None:
    known_spread(repo, NEAR)
    repo.run("git", "switch", "--quiet", "--create", "change")
    shutil.copytree(repo.path / "data/raw/mnist", repo.path / "data/raw/other")
    repo.edit_params({"prepare.dataset": "other"})
    edit(repo.path / "dvc.lock", "data/raw/mnist", "data/raw/other")
    repo.change_errors(0, 500)
    repo.relock(**{f"{SPLITS}/test_images.npy": "others"})
    repo.commit("Take another data set")
    text = run("--fail-on", "regression", "--fail-on", "stale")
    assert verdict_of(text) == "Not comparable: another data set"
    assert "Test accuracy 0.9578 on 10,000 of mnist, and 0.9078 on 10,000 of other." in text
    assert "| `prepare.dataset` | `mnist` | `other` |" in text
    assert "| test accuracy | 0.9578" in text
    for word in ("worse", "McNemar", "Fisher", "points", "[!WARNING]"):
        assert word not in text


def mend(repo: ReviewRepository) -> None:
    (repo.path / "data/raw/mnist/mended").touch()  # other raw images, perhaps in another order


def split_otherwise(repo: ReviewRepository) -> None:
    repo.edit_params({"prepare.test_fraction": 0.3})


@pytest.mark.parametrize("change", [mend, split_otherwise])
def test_different_test_images_are_said_and_compared_unpaired(
    repo: ReviewRepository, run: Report, change: Callable[[ReviewRepository], None]
) -> None:
    repo.run("git", "switch", "--quiet", "--create", "change")
    repo.change_test_images(samples=5000, errors=400)
    change(repo)
    repo.relock(**{f"{SPLITS}/test_images.npy": "5000"})
    repo.commit("Test on other images")
    text = run()
    assert "tested on **different images** (10,000 of mnist; 5,000 of mnist)" in text
    assert "Test accuracy **0.9578 → 0.9200**" in text
    assert "on 10,000 and 5,000 test images" in text
    assert "exact McNemar" not in text
    assert "All 10 classes" not in text
    low, high = confint_proportions_2indep(4600, 5000, 9578, 10_000, method="newcomb")
    assert f"95% interval {100 * low:+.2f} to {100 * high:+.2f}" in text


def test_other_names_of_the_same_classes_are_no_other_images(
    repo: ReviewRepository, run: Report
) -> None:
    repo.change_errors(fixed=20)
    names = {7: "seven", 1: "the one"}
    errors = repo.errors().replace({"label": names, "predicted": names})
    errors.to_csv(repo.path / "metrics/errors.csv", index=False, float_format="%.6f")
    dataset = repo.path / "metrics/dataset.json"
    described = json.loads(dataset.read_text())
    for split in described["splits"]:
        classes = split["classes"].items()
        split["classes"] = {names.get(int(name), name): count for name, count in classes}
    dataset.write_text(json.dumps(described))
    repo.relock(**{"models/model.keras": "20 fixed"})
    text = run("main")
    assert "20 went from wrong to right and 0 from right to wrong" in text
    assert "different images" not in text
    assert "recall of 2" in text  # of those that both have


def test_changed_params_and_stages_are_listed_with_their_reasons(
    repo: ReviewRepository, run: Report
) -> None:
    propose(repo, 3, 2, train__epochs=12)
    with (repo.path / "pipeline/figures/curves.py").open("a") as module:
        module.write("# Changed\n")
    repo.relock()
    repo.commit("Change code")
    text = run()
    assert "| `model.dropout` | `0.0` | `0.3` |" in text
    assert "| `train.epochs` | `10` | `12` |" in text
    rows = {line.split(" | ")[0]: line for line in text.splitlines()}
    assert "param: `model.dropout`, `train.epochs`" in rows["| train"]
    assert "`models/model.keras`" in rows["| train"]
    assert "earlier outputs: `models/model.keras`" in rows["| evaluate"]
    assert "code: `pipeline/figures`" in rows["| plot"]
    assert "| prepare | — | none |" in text


def test_worse_metrics_are_marked_and_unchanged_ones_folded(
    repo: ReviewRepository, run: Report
) -> None:
    propose(repo, 0, 50)
    text = run()
    (accuracy,) = (line for line in text.splitlines() if line.startswith("| test accuracy"))
    for correct in (9578, 9528):
        low, high = proportion_confint(correct, 10_000, method="wilson")
        assert f"{correct / 10_000:.4f} ({low:.4f} to {high:.4f})" in accuracy
    assert accuracy.endswith("| worse |")
    shown, folded = text.split("unchanged</summary>", 1)
    assert "| test loss" not in shown
    assert "| test loss" in folded


def test_a_class_that_breaks_is_named(repo: ReviewRepository, run: Report) -> None:
    propose(repo, 0, 60)  # all of them sevens
    text = run()
    shown, folded = text.split("All 10 classes</summary>")
    assert shown.count("| 0 | 60 | < 0.0001 | **worse** |") == 1
    assert folded.count("| 0 | 60 | < 0.0001 | **worse** |") == 1
    assert folded.count("| 0 | 0 | 1 |") == 9


@pytest.mark.parametrize(
    ("path", "edit", "warning"),
    [
        (
            "pipeline/model/network.py",
            lambda text: text + "# More\n",
            "pipeline/model is not what",
        ),
        (
            "data/raw/mnist/t10k-labels-idx1-ubyte.gz",
            lambda text: text + "more",
            "data/raw/mnist is not what",
        ),
        (
            "metrics/history.csv",
            lambda text: text.replace("0.842885", "0.742885"),
            "metrics/history.csv is not what",
        ),
    ],
)
def test_stale_lock_is_named_and_closes_its_gate(
    repo: ReviewRepository, run: Report, path: str, edit: Callable[[str], str], warning: str
) -> None:
    file = repo.path / path
    file.write_bytes(edit(file.read_bytes().decode("latin-1")).encode("latin-1"))
    assert_named_and_gate_closed(repo, run, warning)


@pytest.mark.parametrize(("name", "value"), [("train.epochs", 11), ("prepare.test_samples", 300)])
def test_param_that_the_lock_has_otherwise_is_stale(
    repo: ReviewRepository, run: Report, name: str, value: int
) -> None:
    repo.edit_params({name: value})
    assert_named_and_gate_closed(repo, run, f"{name} is {value}")


def assert_named_and_gate_closed(repo: ReviewRepository, run: Report, warning: str) -> None:
    text = run("main")
    assert warning in text
    with pytest.raises(PipelineError, match=r"^stale: ") as raised:
        run("main", "--fail-on", "stale")
    assert raised.value.exit_code == 1
    with pytest.raises(PipelineError, match=r"^regression: cannot be told"):
        run("main", "--fail-on", "regression")
    assert run("main").startswith("## Stale: ")
    repo.commit("Forget dvc repro")
    assert warning in run("HEAD~", "--head", "HEAD")


def test_state_as_dvc_made_it_is_not_stale(run: Report) -> None:
    assert "stale" not in run("main", "--fail-on", "stale", "--fail-on", "regression")


def test_dependency_that_the_lock_lacks_is_stale(repo: ReviewRepository, run: Report) -> None:
    path = repo.path / "dvc.yaml"
    path.write_text(path.read_text().replace("- pipeline/plot.py", "- pipeline/repro.py"))
    with pytest.raises(PipelineError, match=r"stage plot depends on pipeline/repro.py"):
        run("main", "--fail-on", "stale")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("path", "old", "new", "fault"),
    [
        ("dvc.yaml", "cmd: python -m pipeline.train", "cmd: python -m x", "the command of stage"),
        ("dvc.yaml", "[evaluate, train.threads", "[evaluate, train.seed", "uses train.seed"),
        ("dvc.yaml", "- data/state.txt", "- data/new.txt", "makes data/new.txt"),
        (
            "dvc.yaml",
            "      - metrics/evaluation.json: {cache: false}",
            "      - metrics/new.json",
            "makes metrics/new.json",
        ),
        ("dvc.lock", "  train:\n", "  former:\n", "dvc.lock has no stage train"),
    ],
)
def test_what_dvc_yaml_declares_and_the_lock_lacks_is_stale(
    repo: ReviewRepository, run: Report, path: str, old: str, new: str, fault: str
) -> None:
    edit(repo.path / path, old, new)
    assert fault in run("main")
    with pytest.raises(PipelineError, match=r"^stale: "):
        run("main", "--fail-on", "stale")


def test_params_that_the_lock_lacks_are_stale(repo: ReviewRepository, run: Report) -> None:
    lock = YAML().load(repo.path / "dvc.lock")
    del lock["stages"]["train"]["params"]
    YAML().dump(lock, repo.path / "dvc.lock")
    text = run("main")
    assert "dvc.yaml: stage train uses model, which dvc.lock does not have" in text
    assert "params.yaml: model.dropout is not in dvc.lock" in text


def test_output_that_is_not_what_the_next_stage_was_given_is_stale(
    repo: ReviewRepository, run: Report
) -> None:
    lock = YAML().load(repo.path / "dvc.lock")
    (model,) = lock["stages"]["train"]["outs"][:1]
    text = (repo.path / "dvc.lock").read_text()
    (repo.path / "dvc.lock").write_text(text.replace(model["md5"], "f" * 32, 1))
    assert f"{model['path']} is not the one that its stage has made" in run("main")


def test_cached_metrics_are_checked_where_they_are_there(
    repo: ReviewRepository, run: Report
) -> None:
    edit(
        repo.path / "dvc.yaml", "metrics/evaluation.json: {cache: false}", "metrics/evaluation.json"
    )
    edit(repo.path / "metrics/evaluation.json", '"loss": 0.2', '"loss": 0.1')
    assert "metrics/evaluation.json is not what dvc.lock has" in run("main")


def test_raw_data_that_dvc_keeps_is_known_by_its_pointer(
    repo: ReviewRepository, run: Report
) -> None:
    lock = YAML().load(repo.path / "dvc.lock")
    md5 = lock["stages"]["prepare"]["deps"][0]["md5"]
    shutil.rmtree(repo.path / "data/raw/mnist")
    pointer = repo.path / "data/raw/mnist.dvc"
    pointer.write_text(f"outs:\n- md5: {md5}\n  path: mnist\n")
    assert "stale" not in run("main", "--fail-on", "stale")
    edit(pointer, md5, f"{'f' * 32}.dir")
    assert "data/raw/mnist is not what dvc.lock has" in run("main")


def test_stale_base_is_warned_of(repo: ReviewRepository, run: Report) -> None:
    repo.edit_params({"train.epochs": 11})
    repo.commit("Forget dvc repro")
    repo.relock()
    repo.commit("Reproduce")
    text = run("HEAD~", "--fail-on", "stale")
    assert "The base itself is stale: params.yaml: train.epochs is 11, but 10 in dvc.lock" in text


def test_line_ends_and_attributes_do_not_change_what_a_commit_holds(
    repo: ReviewRepository, run: Report
) -> None:
    repo.run("git", "config", "core.autocrlf", "true")
    (repo.path / ".gitattributes").write_text("dvc.yaml export-ignore\n")
    repo.commit("Set attributes")
    assert "stale" not in run("main~", "--head", "main", "--fail-on", "stale")


@pytest.fixture
def terminal(
    repo: ReviewRepository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[], str]:
    """Prepare to run the command against main on a terminal of 100 columns with colours."""
    monkeypatch.chdir(repo.path)
    monkeypatch.setenv("PIPELINE_MLFLOW", "off")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")

    def run_report() -> str:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setattr(sys, "argv", ["report", "main"])
        report.main()
        return capsys.readouterr().out

    return run_report


def test_on_a_terminal_a_report_is_short_and_has_colours(
    repo: ReviewRepository, terminal: Callable[[], str]
) -> None:
    known_spread(repo, NEAR)
    propose(repo, 100, 0, train__epochs=20)
    lines = terminal().splitlines()
    assert "A real improvement" in lines[0]
    assert "\x1b[1;32m" in lines[0]
    plain = [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in lines]
    assert "0.9578 → 0.9678: +1.00 points" in plain[1]
    assert len(lines) < 30
    assert max(map(len, plain)) <= 100
    assert any(re.fullmatch(r"model\.dropout +0\.0 → 0\.3", line) for line in plain)
    assert any(
        re.fullmatch(r"test accuracy +0\.9578 → 0\.9678 ▲ \+0\.0100", line) for line in plain
    )
    assert any(line.endswith("\x1b[32m▲ +0.0100\x1b[0m") for line in lines)


def test_no_color_leaves_a_terminals_report_without(
    repo: ReviewRepository, terminal: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    propose(repo, 0, 100)
    text = terminal()
    assert "▼ -0.0100" in text
    assert not re.search(r"\x1b\[[\d;]*3\d", text)


def test_values_of_a_base_do_not_steer_the_terminal(
    repo: ReviewRepository, terminal: Callable[[], str]
) -> None:
    propose(repo, 0, 0, train__optimizer="\x1b]0;owned\x07[red]adam")
    assert "\x1b]" not in terminal()
    assert "]0;owned[red]adam" in terminal()


def test_same_model_is_no_difference_whatever_the_seeds(
    repo: ReviewRepository, run: Report
) -> None:
    known_spread(repo, [0.9578, 0.9471, 0.9472, 0.947, 0.9469, 0.9473, 0.9468])
    repo.edit_params({"evaluate.confidence": 0.9})
    repo.relock()
    repo.commit("Ask for other intervals")
    text = run("main~", "--fail-on", "regression")
    assert verdict_of(text) == "No difference on these images"
    assert "it is the same one" in text


def test_run_of_the_base_is_judged_by_the_spread_of_the_change(
    repo: ReviewRepository, run: Report
) -> None:
    propose(repo, 100, 0)
    repo.record_seeds([0.9678, 0.9671, 0.9672, 0.9674, 0.9675], state_of_head())
    repo.commit("Record seeds of the change alone")
    text = run("--fail-on", "regression")
    assert verdict_of(text) == "A real improvement"
    assert "has 0.9578, 0.96 points below their mean" in text


@pytest.mark.parametrize(
    ("accuracies", "fixed", "broken", "expected"),
    [
        ([0.9478, 0.9478], 0, 30, "The change is better over seeds, but this model is worse"),
        ([0.9678, 0.9678], 30, 0, "The change is worse over seeds, but this model is better"),
    ],
)
def test_model_and_change_that_disagree_are_both_named(
    repo: ReviewRepository,
    run: Report,
    accuracies: list[float],
    fixed: int,
    broken: int,
    expected: str,
) -> None:
    others = [accuracies[0] + seed / 10_000 for seed in range(9)]
    known_spread(repo, [0.9578, *others, *(a + 0.001 for a in others)][: 1 + 2 * len(others)])
    propose(repo, fixed, broken)
    new = 0.9578 + (fixed - broken) / 10_000
    repo.record_seeds([round(new, 6), *(new + n / 100_000 for n in range(1, 10))], state_of_head())
    repo.commit("Record seeds of the change")
    assert verdict_of(run()) == expected
    with pytest.raises(PipelineError, match=r"^regression: "):
        run("--fail-on", "regression")


def test_own_wide_spread_does_not_open_the_gate(repo: ReviewRepository, run: Report) -> None:
    known_spread(repo, NEAR)
    propose(repo, 0, 800)
    repo.record_seeds([0.8778, 0.9999, 0.7, 0.1, 0.95], state_of_head())
    repo.commit("Record seeds that differ wildly")
    assert "is within what seeds do" in verdict_of(run())
    with pytest.raises(PipelineError, match="lower than the seeds of the base allow"):
        run("--fail-on", "regression")


def test_seeds_that_contradict_the_evaluation_are_refused(
    repo: ReviewRepository, run: Report
) -> None:
    repo.record_seeds([0.99, *NEAR[1:]], state_of_head())
    with pytest.raises(PipelineError, match=r"has accuracy 0.99 for this state") as raised:
        run("main")
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("where", ["code", "command", "packages"])
def test_seed_is_not_all_where_something_else_was_changed_too(
    repo: ReviewRepository, run: Report, where: str
) -> None:
    repo.run("git", "switch", "--quiet", "--create", "change")
    repo.edit_params({"train.seed": 1})
    repo.change_errors(0, 100)
    if where == "code":
        with (repo.path / "pipeline/model/network.py").open("a") as module:
            module.write("# Changed\n")
    elif where == "command":
        for name in ("dvc.yaml", "dvc.lock"):
            edit(repo.path / name, "python -m pipeline.train\n", "python -m pipeline.train --x\n")
    else:
        edit(repo.path / "requirements/main.txt", "\nkeras==", "\nkeras==9.")
    repo.relock()
    repo.commit("Change")
    text = run()
    assert verdict_of(text) == "This model is worse, and nothing is known about seeds"
    assert ("command: `python -m pipeline.train --x`" in text) == (where == "command")


def test_fewer_test_images_are_warned_of_and_need_both_tests(
    repo: ReviewRepository, run: Report
) -> None:
    known_spread(repo, NEAR)
    repo.run("git", "switch", "--quiet", "--create", "change")
    repo.change_test_images(samples=300, errors=17)
    repo.commit("Test on few images")
    text = run()
    assert "It was tested on 300 images instead of 10,000" in text
    assert verdict_of(text) == "No difference on these images"  # though beyond the seeds


def test_later_of_both_mains_counts(repo: ReviewRepository, run: Report) -> None:
    propose(repo, 0, 50)
    repo.run("git", "update-ref", "refs/remotes/origin/main", "HEAD")
    repo.change_errors(20, 0)
    repo.commit("Go on")
    text = run()
    assert "**0.9528 → 0.9548**" in text
    assert "From origin/main (" in text
    repo.run("git", "branch", "--quiet", "--delete", "--force", "main")
    assert "From origin/main (" in run()


def test_main_itself_needs_a_base(repo: ReviewRepository, run: Report) -> None:
    with pytest.raises(PipelineError, match=r"is on main, so .*, or name a BASE") as raised:
        run()
    assert raised.value.exit_code == 2
    repo.edit_params({"train.epochs": 11})  # what is not committed is compared with main
    assert "train.epochs" in run()


def test_loss_that_is_no_number_is_worse_and_a_smaller_one_is_not(
    repo: ReviewRepository, run: Report
) -> None:
    path = repo.path / "metrics/history.csv"
    *rows, last = path.read_text().splitlines()
    epoch, loss, accuracy, _, val_accuracy = last.split(",")
    path.write_text("\n".join([*rows, f"{epoch},{loss},{accuracy},,{val_accuracy}"]) + "\n")
    repo.edit_evaluation(loss=0.1)
    rows_of = {line.split(" |")[0]: line for line in run("main").splitlines()}
    assert rows_of["| validation loss, last epoch"].endswith("| worse |")
    assert not rows_of["| test loss"].endswith("| worse |")


def test_names_of_branches_are_text_not_markup(repo: ReviewRepository, run: Report) -> None:
    repo.run("git", "branch", 'a`b|<img/src=x>"c')
    repo.edit_params({"train.epochs": 11})
    assert 'From a\\`b\\|\\<img/src=x\\>\\"c (' in run('a`b|<img/src=x>"c')


def test_gate_is_closed_for_a_regression_and_open_for_what_a_seed_could_do(
    repo: ReviewRepository, run: Report
) -> None:
    known_spread(repo, WIDE)
    propose(repo, 100, 160)
    assert run("--fail-on", "regression")
    repo.change_errors(0, 600)
    repo.commit("Worse")
    with pytest.raises(PipelineError, match=r"^regression: the test accuracy is lower") as raised:
        run("--fail-on", "regression")
    assert raised.value.exit_code == 1


def test_gate_is_closed_for_a_worse_model_where_seeds_are_unknown(
    repo: ReviewRepository, run: Report
) -> None:
    propose(repo, 100, 160)
    with pytest.raises(PipelineError, match=r"is not known; `python -m pipeline.seeds"):
        run("--fail-on", "regression")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("metrics/evaluation.json", "{}"),
        ("metrics/evaluation.json", "no JSON"),
        ("metrics/errors.csv", ""),
        ("metrics/errors.csv", "image,label\n1,2\n"),
        ("metrics/errors.csv", "image,label,predicted,probability\n1,2,3,0.5\n"),
        ("metrics/errors.csv", CLASS_THAT_IS_NONE),
        ("metrics/history.csv", "epoch,loss,accuracy,val_loss,val_accuracy\n"),
        ("metrics/dataset.json", '{"splits": []}'),
        ("metrics/evaluation.json", TWICE_THE_SAMPLES),
        ("metrics/errors.csv", HALF_AN_IMAGE),
        ("metrics/seeds.json", "{}"),
        ("dvc.lock", "schema: '2.0'\nstages:\n  plot:\n"),
        ("dvc.yaml", "stages: [a]\n"),
        ("dvc.yaml", "<<<<<<< HEAD\nstages:\n"),
        ("dvc.yaml", None),
        ("params.yaml", "train: {seed: 2026-01-01}\n"),
        ("dvc.lock", "<<<<<<< HEAD\nschema: '2.0'\n"),
        ("params.yaml", ""),
        ("metrics/errors.csv", None),
        ("dvc.lock", None),
    ],
)
def test_missing_or_malformed_files_are_errors_never_no_change(
    repo: ReviewRepository, run: Report, path: str, content: str | None
) -> None:
    if content is None:
        (repo.path / path).unlink()
    else:
        (repo.path / path).write_text(content)
    with pytest.raises(PipelineError, match=path) as raised:
        run("main")
    assert raised.value.exit_code == 2
    repo.commit("Damage")
    with pytest.raises(PipelineError, match=path) as raised:
        run("HEAD", "--head", "HEAD~")
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [["nowhere"], ["main", "--head", "nowhere"], ["--", "-x"], [""], ["main", "--head", ""]],
)
def test_unreadable_revision_is_an_error(run: Report, arguments: list[str]) -> None:
    with pytest.raises(PipelineError, match="Git knows no such commit") as raised:
        run(*arguments)
    assert raised.value.exit_code == 2


def test_base_is_where_the_state_left_main(repo: ReviewRepository, run: Report) -> None:
    propose(repo, 30, 10)
    repo.run("git", "switch", "--quiet", "main")
    repo.change_errors(0, 200)
    repo.commit("Main goes on")
    repo.run("git", "switch", "--quiet", "change")
    assert "**0.9578 → 0.9598**" in run()
    assert "**0.9378 → 0.9598**" in run("main")
    assert "**0.9598 → 0.9378**" in run("change", "--head", "main")


CHANGED_PINS = ("keras==", "numpy==")
NUMPY_BY_PYTHON = (
    "numpy==9.8 ; python_full_version < '3.12' \\",
    "numpy==9.9 ; python_full_version >= '3.12' \\",
)


def test_validation_on_test_images_and_other_packages_are_warned_of(
    repo: ReviewRepository, run: Report
) -> None:
    repo.edit_params({"prepare.val_from": "test"})
    lock = repo.path / "requirements/main.txt"
    others = [line for line in lock.read_text().splitlines() if not line.startswith(CHANGED_PINS)]
    lock.write_text("\n".join(["keras==3.99.1 \\", *NUMPY_BY_PYTHON, *others]))
    text = run("main")
    assert "validates on test images" in text
    assert "`requirements/main.txt` has keras 3.99.1 instead of " in text
    numpy = "has numpy 9.8 (Python < 3.12), 9.9 (Python >= 3.12) instead of "
    (line,) = (line for line in text.splitlines() if numpy in line)
    assert line.endswith(", which may change any bit")


def test_output_has_the_report_with_its_pictures_beside_it(
    repo: ReviewRepository, run: Report
) -> None:
    propose(repo, 20, 30)
    printed = run("--output", "out")
    folder = repo.path / "out"
    assert {p.name for p in folder.iterdir()} == {
        "report.md",
        "changed_images.png",
        "training_curves.png",
    }
    written = (folder / "report.md").read_text()
    assert written.splitlines()[0] == printed.splitlines()[0]
    for name in ("changed_images.png", "training_curves.png"):
        assert f"]({name})" in written
        assert name not in printed
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 400
        assert (folder / name).stat().st_size < 100_000
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    run("--output", "out")
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_output_that_is_no_folder_is_an_error(repo: ReviewRepository, run: Report) -> None:
    propose(repo, 20, 30)
    with pytest.raises(PipelineError, match=r"--output params.yaml: cannot be written") as raised:
        run("--output", "params.yaml")
    assert raised.value.exit_code == 2


def test_report_without_raw_images_says_so(repo: ReviewRepository, run: Report) -> None:
    propose(repo, 20, 30)
    (repo.path / "data/raw/mnist/t10k-images-idx3-ubyte.gz").unlink()
    run("main", "--output", "out")
    assert "cannot be shown" in (repo.path / "out/report.md").read_text()


def test_figures_in_git_are_linked_at_their_commits_on_github(
    repo: ReviewRepository, run: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    propose(repo, 20, 30)
    (repo.path / "metrics/figures/loss.png").write_bytes(b"another figure")
    repo.commit("Draw")
    assert "/raw/" not in run()
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.example")
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    text = run()
    for revision in ("main", "HEAD"):
        sha = repo.run("git", "rev-parse", revision).stdout.strip()
        link = f"https://github.example/owner/name/raw/{sha}/metrics/figures/loss.png"
        assert text.count(f'src="{link}"') == 1
    assert "accuracy.png" not in text


def test_other_bits_on_this_machine_are_only_warned_of(repo: ReviewRepository, run: Report) -> None:
    known_spread(repo, WIDE)
    propose(repo, 30, 20)
    with pytest.raises(PipelineError, match="`dvc repro` has not made") as raised:
        run("--reproduced")
    assert raised.value.exit_code == 2
    pretend_dvc_has_run(repo)
    assert "gave the committed bytes" in run("--reproduced", "--fail-on", "stale")
    repo.change_errors(40, 50)  # what `dvc repro` made of it on another processor
    pretend_dvc_has_run(repo)
    text = run("--reproduced", "--fail-on", "stale", "--fail-on", "regression")
    assert "**0.9578 → 0.9588**" in text  # what was committed
    assert "gave other bits on this machine (test accuracy 0.9578 instead of 0.9588" in text
    assert "no more than another seed does" in text
    repo.change_errors(0, 900)
    pretend_dvc_has_run(repo)
    with pytest.raises(PipelineError, match="more than another seed does"):
        run("--reproduced", "--fail-on", "stale")


def test_other_bits_are_only_warned_of_where_seeds_are_unknown(
    repo: ReviewRepository, run: Report
) -> None:
    propose(repo, 30, 20)
    repo.change_errors(0, 900)
    pretend_dvc_has_run(repo)
    assert "is not known" in run("--reproduced", "--fail-on", "stale")


def test_images_shown_are_those_that_the_errors_count(
    repo: ReviewRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo.path)
    repo.change_test_images(samples=5000, errors=400)
    repo.commit("Test on fewer images")
    with at_commit("HEAD") as revision:
        images = read_test_images(revision)
    assert images.shape == (5000, 28, 28, 1)
    content = gzip.decompress((ROOT / "data/raw/mnist/t10k-images-idx3-ubyte.gz").read_bytes())
    assert images[125].tobytes() == content[16 + 125 * 784 : 16 + 126 * 784]
