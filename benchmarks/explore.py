"""Draw on the page of `make explore`: python -m benchmarks.explore.

Prints how soon the page answers to a stroke, in a real browser on this machine, and how many of
the digits in `benchmarks.drawn_digits` the current model recognises, with and without centring.
"""

import argparse
import itertools
import os
import time

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.browser import BROWSER_OPTIONS, installed_browser
from benchmarks.drawn_digits import Drawing, drawings
from benchmarks.local_server import serving
from benchmarks.machine import describe_processor
from benchmarks.table import number, table
from pipeline.core.arrays import ByteArray
from pipeline.evaluation import attribution
from pipeline.explore.drawing import PEN, centre, draw
from pipeline.model import network
from pipeline.model.paths import MODEL

CORES = 2  # what the target is for
FRAME = 1 / 60  # seconds between two events of a mouse
SIDE = 280  # of the pad that is drawn on without a browser
# Notes when the pen last touched the pad, and when what is shown last changed: the probabilities
# and the image that the network got, and the attribution.
OBSERVE = """
const [pad, results] = [".pad img", ".results"].map((name) => document.querySelector(name));
const attribution = results.querySelectorAll(".small-picture")[1];
window.times = {};
for (const type of ["pointerdown", "pointermove"])
  pad.addEventListener(type, (event) => { if (event.buttons) times.stroke = performance.now(); });
new MutationObserver((changes) => {
  if (changes.some((change) => !attribution.contains(change.target)))
    times.answer = performance.now();
}).observe(results, {subtree: true, childList: true, characterData: true, attributes: true});
attribution.querySelector("img").addEventListener("load", () => {
  times.attribution = performance.now();
});
"""


def draw_on(page: Page, drawing: Drawing) -> None:
    """Draw a digit on the pad with the mouse, at the pace of a browser's events."""
    box = page.locator(".pad img").bounding_box()
    if not box:
        raise RuntimeError("the page has no pad")
    origin, size = np.array([box["x"], box["y"]]), np.array([box["width"], box["height"]])
    for stroke in drawing.strokes:
        points = origin + size * stroke
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            time.sleep(FRAME)
            page.mouse.move(*point)
        page.mouse.up()


def measure_answers(url: str, count: int) -> list[list[float]]:
    """Draw digits; return for each the milliseconds from its last point to answer, attribution."""
    waits = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=installed_browser(), args=BROWSER_OPTIONS
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        page.goto(url)
        page.locator("[data-initializing]").wait_for(state="detached")
        page.evaluate(OBSERVE)
        for drawing in itertools.islice(drawings(times=1 + count // 50), count):
            page.get_by_role("button", name="Clear").click()
            page.wait_for_timeout(700)
            draw_on(page, drawing)
            page.wait_for_timeout(1000)  # all answers have come by then
            times = page.evaluate("times")
            waits.append([times[name] - times["stroke"] for name in ("answer", "attribution")])
        browser.close()
    return waits


def shrink(ink: ByteArray, shape: tuple[int, int]) -> ByteArray:
    """Make an image of what is drawn as it is, neither scaled nor centred."""
    return np.array(Image.fromarray(ink).resize(shape[::-1], Image.Resampling.BOX))


def measure_rates(times: int) -> tuple[int, list[float]]:
    """Return how many digits were drawn, and the shares recognised with centring and without."""
    model = network.read_model(MODEL)
    shape = model.input_shape[1:3]
    drawn = list(drawings(times))
    labels = [drawing.label for drawing in drawn]
    pictures = [
        draw([(SIDE * stroke).tolist() for stroke in drawing.strokes], (SIDE, SIDE), PEN * SIDE)
        for drawing in drawn
    ]
    rates = []
    for prepare in (centre, shrink):
        images = np.array([prepare(picture, shape) for picture in pictures])[..., None]
        predicted: npt.NDArray[np.int64] = attribution.scores(model, images).argmax(axis=1)
        rates.append(float(np.mean(predicted == labels)))
    return len(labels), rates


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--strokes", type=int, default=100, help="digits to time (default: 100)")
    parser.add_argument("--times", type=int, default=10, help="each way to write (default: 10)")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with serving("pipeline.explore") as url:
        waits = np.array(measure_answers(url, args.strokes))
    rows = [
        [name, *(number(float(np.percentile(column, percent))) for percent in (50, 95, 100))]
        for name, column in zip(("answer", "attribution"), waits.T, strict=True)
    ]
    print(f"{describe_processor()}\n")
    print(table(["from the last point to", "median, ms", "95 %, ms", "longest, ms"], rows))
    count, rates = measure_rates(args.times)
    names = ("centred and scaled, as the page does", "as drawn")
    shares = [[name, f"{rate:.1%}"] for name, rate in zip(names, rates, strict=True)]
    print(f"\n{table([f'{count} drawn digits', 'recognised'], shares)}")


if __name__ == "__main__":
    main()
