"""The page of `make explore` in a real browser."""

import http.client
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import psutil
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.conftest import Clone, make_once
from tests.explore_page import (
    ONE,
    ZERO,
    draw_with_finger,
    draw_with_mouse,
    serve_page,
    visit,
)
from tests.mlflow_store import lose_store

Served = tuple[str, psutil.Process]
# Enough to know a drawn 0 from a drawn 1, in seconds.
BETTER = {
    "prepare.train_samples": 2000,
    "model.conv_blocks": [[8, 16]],
    "model.dense_units": [32],
    "train.epochs": 5,
}
# Whether the planes of the 3D scene, which NiceGUI shows to tests, have pictures of these sides.
PICTURES = """(sides) => {
  const [scene] = Object.keys(window).filter((name) => name.startsWith("scene_"));
  const pictures = window[scene].children.flatMap((plane) => plane.material?.map?.image ?? []);
  const found = pictures.map(({width, height}) => width == height ? width : NaN);
  return String(found.sort((a, b) => a - b)) == String(sides);
}"""
# Whether the bar of a class shows a probability.
SHOWS = """([name, probability]) => {
  const bars = [...document.querySelectorAll("[role=progressbar]")];
  const bar = bars.find((bar) => bar.getAttribute("aria-label") === name);
  return bar && Math.abs(bar.getAttribute("aria-valuenow") - probability) < 1e-4;
}"""
WITHOUT_NICEGUI = """
import runpy, sys
sys.modules["nicegui"] = None
sys.argv = ["explore"]
runpy.run_module("pipeline.explore", run_name="__main__")
"""


@pytest.fixture(scope="module")
def explored(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone whose champion is the model of `reproduced`, and whose own model is a better one."""

    def build(path: Path) -> None:
        clone = reproduced.copy_to(path)
        lose_store(clone)
        clone.run("python", "-m", "pipeline.promote")
        clone.edit_params(BETTER)
        for stage in ("prepare", "train", "evaluate"):
            clone.run("python", "-m", f"pipeline.{stage}", PIPELINE_MLFLOW="off")

    return make_once(tmp_path_factory, "explored", build)


@pytest.fixture(scope="module")
def server(explored: Clone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    clone = explored.copy_to(tmp_path_factory.mktemp("explore") / "repository")
    with serve_page(clone) as served:
        yield served


@pytest.fixture
def page(server: Served) -> Iterator[Page]:
    with visit(server[0]) as page:
        yield page


def read_predictions(clone: Clone) -> pd.DataFrame:
    """Return what `evaluate` predicted for each test image; names of classes are text."""
    path = clone.path / "metrics/predictions.csv"
    return pd.read_csv(path, dtype={"label": str, "predicted": str})


def expect_answer(page: Page, predictions: pd.DataFrame, image: int) -> None:
    """Expect what `evaluate` predicted for a test image.

    The images before and after may have the same answer, and answers nearly the same probability:
    each part of the page is waited for by itself.
    """
    label, predicted = predictions["label"][image], str(predictions["predicted"][image])
    expect(page.get_by_text("labelled")).to_have_text(f"Test image {image}, labelled {label}")
    wrong = "" if label == predicted else f". Wrong: it is {label}"
    expect(page.locator(".answer")).to_have_text(f"Most likely: {predicted}{wrong}")
    page.wait_for_function(SHOWS, arg=[predicted, predictions["probability"][image]])


def test_drawn_digits_are_recognised(page: Page) -> None:
    answer = page.locator(".answer")
    expect(answer).to_have_text("Draw something, or pick a test image.")
    draw_with_mouse(page, ONE)
    expect(answer).to_have_text("Most likely: 1")
    page.get_by_role("button", name="Clear").click()
    expect(answer).to_have_text("Draw something, or pick a test image.")
    draw_with_mouse(page, ZERO)
    expect(answer).to_have_text("Most likely: 0")


def test_finger_draws_and_does_not_scroll(server: Served) -> None:
    with visit(server[0], width=390, touch=True) as page:
        draw_with_finger(page, ZERO)
        expect(page.locator(".answer")).to_have_text("Most likely: 0")
        assert page.evaluate("[scrollX, scrollY]") == [0, 0]
        assert page.evaluate("document.documentElement.scrollWidth") == 390  # nothing sticks out


def test_picked_test_image_is_answered_as_evaluated(page: Page, explored: Clone) -> None:
    predictions = read_predictions(explored)
    page.get_by_label("Image", exact=True).fill("18")
    expect_answer(page, predictions, 18)
    page.get_by_role("button", name="Next test image").click()
    expect_answer(page, predictions, 19)

    errors = predictions[predictions["label"] != predictions["predicted"]]
    page.get_by_text("only those that the current model gets wrong").click()
    expect_answer(page, errors, errors.index[0])
    page.get_by_role("button", name="Previous test image").click()
    expect_answer(page, errors, errors.index[-1])

    draw_with_mouse(page, ONE)  # not over the test image
    expect(page.locator(".answer")).to_have_text("Most likely: 1")
    expect(page.get_by_text("labelled")).to_have_count(0)


def test_wrong_answer_looks_wrong_and_both_classes_have_their_pixels(
    page: Page, explored: Clone
) -> None:
    predictions = read_predictions(explored)
    wrong = int((predictions["label"] != predictions["predicted"]).argmax())
    right = int((predictions["label"] == predictions["predicted"]).argmax())
    answer = page.locator(".answer")
    truth = page.get_by_role("img", name="Which pixels speak for the true class")
    page.get_by_label("Image", exact=True).fill(str(wrong))
    expect_answer(page, predictions, wrong)
    expect(answer).to_have_css("color", "rgb(179, 38, 30)")
    expect(page.locator(".bars .wrong")).to_have_css("color", "rgb(179, 38, 30)")
    expect(page.locator(".bars .true")).to_have_css("color", "rgb(0, 114, 178)")
    expect(truth).to_be_visible()
    page.get_by_label("Image", exact=True).fill(str(right))
    expect_answer(page, predictions, right)
    expect(answer).to_have_css("color", "rgb(0, 114, 178)")
    expect(truth).not_to_be_visible()


def test_dropped_image_is_answered(page: Page, tmp_path: Path) -> None:
    images = page.locator("input[type=file]")
    (tmp_path / "notes.png").write_text("no image")
    images.set_input_files(tmp_path / "notes.png")
    expect(page.get_by_text("notes.png: is not a PNG or JPEG image")).to_be_visible()
    Image.new("RGB", (90, 60), (200, 30, 30)).save(tmp_path / "mine.png")
    images.set_input_files(tmp_path / "mine.png")
    expect(page.locator(".answer")).to_have_text(re.compile("^Most likely: "))
    expect(page.get_by_text("mine.png", exact=True)).to_be_visible()


def test_wheel_over_the_stack_scrolls_the_page(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 500})
    scene = page.locator(".nicegui-scene")
    scene.scroll_into_view_if_needed()
    scene.hover(position={"x": 300, "y": 50})
    page.evaluate("scrollTo(0, 100)")
    page.mouse.wheel(0, -80)
    page.wait_for_function("scrollY < 100")


def test_champion_answers_when_it_is_chosen(page: Page, explored: Clone, reproduced: Clone) -> None:
    current, champion = read_predictions(explored), read_predictions(reproduced)
    other = int((current["predicted"] != champion["predicted"]).argmax())
    page.get_by_label("Image", exact=True).fill(str(other))
    expect_answer(page, current, other)
    page.get_by_role("button", name="Champion (version 1)").click()
    expect_answer(page, champion, other)
    page.get_by_role("button", name="Current model").click()
    expect_answer(page, current, other)


def test_stack_has_a_plane_for_each_layer_and_can_be_turned(page: Page) -> None:
    draw_with_mouse(page, ZERO)
    # Input; 16 pooled maps in 4 columns of 12 pixels and a gap; 8 maps in 3 of 26; 16 in 4 of 24.
    sides = [28, 4 * 13 - 1, 3 * 27 - 1, 4 * 25 - 1]
    expect(page.locator(".answer")).to_have_text("Most likely: 0")
    page.wait_for_function(PICTURES, arg=sides)

    scene = page.locator(".nicegui-scene")
    seen = [scene.screenshot()]
    scene.drag_to(scene, source_position={"x": 300, "y": 200}, target_position={"x": 500, "y": 200})
    seen.append(scene.screenshot())
    slider = page.get_by_role("slider", name="Turn the stack")
    slider.locator("[tabindex]").press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", "56")
    page.wait_for_timeout(500)  # the camera follows
    seen.append(scene.screenshot())
    assert len(set(seen)) == 3


def test_attribution_is_shown(page: Page) -> None:
    picture = page.get_by_role("img", name="Which pixels speak for its answer").locator("img")
    before = picture.get_attribute("src")
    draw_with_mouse(page, ONE)
    expect(picture).not_to_have_attribute("src", before or "")


def test_only_this_machine_is_served(server: Served) -> None:
    url, process = server
    listening = {
        connection.laddr.ip
        for one in [process, *process.children(recursive=True)]
        for connection in one.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    with closing(connection):  # as from a website whose name leads here
        connection.request("GET", "/", headers={"Host": "digits.example.com"})
        assert connection.getresponse().status == 400


# Opening a WebSocket, as in RFC 6455, 1.3, and polling, as browsers do where there is none.
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport="


@pytest.mark.parametrize(
    ("transport", "headers", "accepted"), [("polling", {}, 200), ("websocket", UPGRADE, 101)]
)
def test_other_websites_do_not_talk_to_it(
    server: Served, transport: str, headers: dict[str, str], accepted: int
) -> None:
    url = server[0]

    def status(origin: str) -> int:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        with closing(connection):
            connection.request("GET", SOCKET + transport, headers=headers | {"Origin": origin})
            return connection.getresponse().status

    assert status(url) == accepted
    assert status("https://digits.example.com") in (400, 403)


def test_without_a_model_the_command_says_what_to_do(clone: Clone) -> None:
    (clone.path / "models/model.keras").unlink()
    result = clone.run("python", "-m", "pipeline.explore", "--port", "0", check=False)
    assert result.returncode == 1
    assert result.stdout == "models/model.keras: no such file; `dvc repro` makes it again\n"


def test_without_nicegui_the_command_says_what_to_do(reproduced: Clone) -> None:
    result = reproduced.run("python", "-c", WITHOUT_NICEGUI, check=False)
    assert result.returncode == 1
    assert result.stdout == "the page needs NiceGUI: `make venv-explore` installs it\n"
