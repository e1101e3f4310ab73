"""What the MLflow UI shows to someone who compares runs, in a real browser."""

import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from ruamel.yaml import YAML

from benchmarks.browser import BROWSER_OPTIONS
from tests.conftest import Clone
from tests.end_to_end.conftest import STATES
from tests.ui import Ui, find_browser, serve_ui

MODEL_OF_ANOTHER = {"confidence=0.8"}  # the state of which nothing was trained
TIMEOUT_MS = 60_000


@dataclass
class State:
    """What the files of a state say."""

    params: dict[str, str]
    test_accuracy: float
    history: pd.DataFrame
    train_md5: str


def read_state(clone: Clone, message: str) -> State:
    """Return the state that was committed with this message."""
    search = ("git", "log", "--branches", f"--grep=^{message}$", "--format=%H")
    commit = clone.run(*search).stdout.strip()

    def read(path: str) -> str:
        return clone.run("git", "show", f"{commit}:{path}").stdout

    sections = YAML(typ="safe").load(read("params.yaml"))
    images = (clone.path / "data/prepared/train_images.npy").read_bytes()  # of all states
    return State(
        params={f"{s}.{key}": str(value) for s in sections for key, value in sections[s].items()},
        test_accuracy=json.loads(read("metrics/evaluation.json"))["accuracy"],
        history=pd.read_csv(io.StringIO(read("metrics/history.csv")), index_col="epoch"),
        train_md5=hashlib.md5(images).hexdigest(),
    )


@pytest.fixture
def states(five_states: Clone) -> dict[str, State]:
    """The five states by the names of their runs."""
    start = five_states.run("git", "log", "--grep=^Start$", "--format=%h", "--abbrev=7").stdout
    first = {f"main {start.strip()}+": read_state(five_states, "Reproduce")}
    return first | {name: read_state(five_states, name) for name in STATES}


@pytest.fixture
def ui(five_states: Clone, tmp_path: Path) -> Iterator[Ui]:
    """The UI of a clone that went through all states."""
    with serve_ui(five_states.copy_to(tmp_path / "repository")) as ui:
        yield ui


@pytest.fixture
def page(ui: Ui) -> Iterator[Page]:
    """A page of a browser that can reach the UI only, and does not try to reach anything else."""
    requests: list[str] = []
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=BROWSER_OPTIONS)
        # MLflow draws only what is in view.
        page = browser.new_page(viewport={"width": 4200, "height": 1600})
        page.set_default_timeout(TIMEOUT_MS)
        page.on("request", lambda request: requests.append(request.url))
        yield page
        browser.close()
    mine = (ui.url, "data:", "blob:")
    assert [url for url in requests if not url.startswith(mine)] == []


def test_five_runs_can_be_told_apart_and_compared(
    ui: Ui, page: Page, states: dict[str, State], tmp_path: Path
) -> None:
    page.goto(ui.runs)
    table = read_table(page)
    page.screenshot(path=tmp_path / "table.png")
    assert set(table) == set(states)
    for name, state in states.items():
        assert table[name]["Dataset"].startswith(f"mnist-train ({state.train_md5})")
        assert table[name]["Source"] == "dvc repro"
        # MLflow's table has a model with the first run that it is of.
        assert table[name]["Models"] == ("-" if name in MODEL_OF_ANOTHER else "mnist")
        assert float(table[name]["test_accuracy"]) == state.test_accuracy
        for param in ("train.epochs", "train.learning_rate", "model.dropout"):
            assert table[name][param] == state.params[param]

    page.locator("label:has([value=CHART])").click()
    for metric in ("loss", "val_loss"):
        curves = read_curves(page, metric)
        assert set(curves) == set(states)
        for name, state in states.items():
            assert curves[name] == pytest.approx(state.history[metric].to_dict(), abs=1e-6)
    page.screenshot(path=tmp_path / "curves.png")

    page.get_by_role("columnheader").get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Compare").click()
    comparison = read_comparison(page)
    page.screenshot(path=tmp_path / "comparison.png")
    assert set(comparison) == set(states)
    for name, state in states.items():
        shown = comparison[name]
        # Lists are shown with a line for each value.
        assert {key: re.sub(r"\s+", "", shown[key]) for key in state.params} == {
            key: value.replace(" ", "") for key, value in state.params.items()
        }
        assert float(shown["test_accuracy"]) == pytest.approx(state.test_accuracy, abs=0.0005)


def read_table(page: Page) -> dict[str, dict[str, str]]:
    """Return what the table of runs has in each column, by the names of the runs."""
    expect(page.get_by_text(f"{len(STATES) + 1} matching runs")).to_be_visible()
    # Models are asked for on their own, and come last.
    expect(page.locator("[row-id] [col-id*=Models] a").first).to_be_visible()
    rows: dict[str, dict[str, str]] = {}
    for cell in page.locator("[row-id] [role=gridcell]").all():
        row = cell.locator("xpath=ancestor::*[@row-id]").get_attribute("row-id")
        column = cell.get_attribute("col-id")
        assert row
        assert column
        rows.setdefault(row, {})[re.sub(r".*`(.*)`", r"\1", column)] = cell.inner_text()
    # Before the name of a run stands its colour, unseen.
    return {columns["Run Name"].splitlines()[-1]: columns for columns in rows.values()}


def read_curves(page: Page, metric: str) -> dict[str, dict[int, float]]:
    """Return what the chart of a metric draws at each step, by the names of the runs."""
    heading = page.get_by_role("heading", name=metric, exact=True)
    chart = page.get_by_test_id("experiment-view-compare-runs-card").filter(has=heading)
    expect(chart.locator(".xtitle")).to_have_text("Step")
    curves = chart.locator(".scatterlayer .trace .points:has(.point)")
    expect(curves).to_have_count(len(STATES) + 1)
    data: list[tuple[str, list[int], list[float]]] = chart.locator(".js-plotly-plot").evaluate(
        "plot => plot.data.map(trace => [trace.name, [...trace.x], [...trace.y]])"
    )
    legend = chart.inner_text().splitlines()
    return {
        name: dict(zip(steps, values, strict=True))
        for name, steps, values in data
        if f"{name} ({metric})" in legend
    }


def read_comparison(page: Page) -> dict[str, dict[str, str]]:
    """Return what the comparison says about each run, by its name, under each heading."""
    metrics, values = page.get_by_role("grid").nth(0), page.get_by_role("grid").nth(1)
    expect(metrics).to_contain_text("test_accuracy")
    rows = [
        [cell.inner_text() for cell in row.locator("th, td").all()]
        for row in page.locator("table tr").all()
    ]
    count = len(STATES) + 1
    cells = values.inner_text().split()
    for number, metric in enumerate(metrics.inner_text().split()):
        rows.append([metric, *cells[number * count : (number + 1) * count]])
    names = next(row[1:] for row in rows if row[0] == "Run Name:")
    return {
        name.strip(): {row[0]: row[number] for row in rows}
        for number, name in enumerate(names, start=1)
    }
