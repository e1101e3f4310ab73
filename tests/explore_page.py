"""The page as `make explore` serves it, and a visitor with a browser who draws on it."""

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.browser import BROWSER_OPTIONS
from tests.conftest import Clone
from tests.ui import find_browser, use_this_environment

TIMEOUT_MS = 60_000
# Where the pen goes, from the top left of the pad (0, 0) to its bottom right (1, 1).
ONE = [(0.55, 0.2), (0.45, 0.8)]
ZERO = [(0.5, 0.2), (0.35, 0.35), (0.32, 0.6), (0.45, 0.8), (0.62, 0.7), (0.66, 0.4), (0.5, 0.2)]
# Whether all planes of the 3D scene, which NiceGUI shows to tests, have the proportions of their
# pictures and the same longer side, and one of them has a picture of this width and height.
IN_PROPORTION = """([width, height]) => {
  const [scene] = Object.keys(window).filter((name) => name.startsWith("scene_"));
  const planes = window[scene].children.filter((child) => child.material?.map?.image);
  const fits = ({ geometry: { parameters: plane }, material: { map: { image } } }) =>
    Math.abs(plane.width * image.height - plane.height * image.width) < 1e-6 &&
    Math.abs(Math.max(plane.width, plane.height) - 4) < 1e-6;
  const images = planes.map((plane) => plane.material.map.image);
  return planes.every(fits)
    && images.some((image) => image.width == width && image.height == height);
}"""
Point = tuple[float, float]


@contextmanager
def serve_page(clone: Clone) -> Iterator[tuple[str, psutil.Process]]:
    """Run `make explore` until the context ends; give the page's address and the process.

    The server must end when it is told to, and show no traceback and no warning.
    """
    use_this_environment(clone)
    server = clone.popen("make", "-o", "venv-explore", "explore", "PORT=0")
    process = psutil.Process(server.pid)
    said = ""
    try:
        assert server.stdout
        while not (url := re.search(r"http://127\.0\.0\.1:\d+", said)):
            line = server.stdout.readline()
            assert line, said
            said += line
        yield url[0], process
    finally:
        for one in [*process.children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):
                one.terminate()
        said += server.communicate(timeout=60)[0]
    assert "Traceback" not in said, said
    assert "Warning" not in said, said


@contextmanager
def visit(url: str, width: int = 1280, touch: bool = False) -> Iterator[Page]:
    """Open the page in a browser that can reach the server only, and tries to reach nothing else.

    Args:
        url: of the page.
        width: of the window.
        touch: whether it is a device with a touch screen.
    """
    requests: list[str] = []
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=BROWSER_OPTIONS)
        page = browser.new_page(viewport={"width": width, "height": 800}, has_touch=touch)
        page.set_default_timeout(TIMEOUT_MS)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(url)
        page.locator("[data-initializing]").wait_for(state="detached")  # all is in place
        yield page
        browser.close()
    assert [one for one in requests if not one.startswith((url, "data:", "blob:"))] == []


def on_pad(page: Page, points: Sequence[Point]) -> list[Point]:
    """Return where points of the pad are on the screen, with nine more on the way to each."""
    box = page.locator(".pad img").bounding_box()
    assert box
    way = [points[0]]
    for (x, y), (to_x, to_y) in itertools.pairwise(points):
        way += [(x + (to_x - x) * step / 10, y + (to_y - y) * step / 10) for step in range(1, 11)]
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in way]


def draw_with_mouse(page: Page, points: Sequence[Point]) -> None:
    """Draw one stroke."""
    first, *others = on_pad(page, points)
    page.mouse.move(*first)
    page.mouse.down()
    for point in others:
        page.mouse.move(*point)
    page.mouse.up()


def draw_with_finger(page: Page, points: Sequence[Point]) -> None:
    """Draw one stroke."""
    devtools = page.context.new_cdp_session(page)
    for number, (x, y) in enumerate(on_pad(page, points)):
        kind = "touchMove" if number else "touchStart"
        touch = {"type": kind, "touchPoints": [{"x": x, "y": y}]}
        devtools.send("Input.dispatchTouchEvent", touch)
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
