"""The page of `dvc plots`, drawn by a browser."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc_render.html import render_html
from dvc_render.image import ImageRenderer
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.browser import BROWSER_OPTIONS
from pipeline.plots_page import build_page
from tests.ui import find_browser


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=BROWSER_OPTIONS)
        yield browser.new_page(viewport={"width": 1200, "height": 800})
        browser.close()


@pytest.mark.parametrize("revisions", [1, 2, 4])
def test_wide_pictures_of_revisions_fit_the_page_side_by_side(
    tmp_path: Path, page: Page, revisions: int
) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (1500, 900)).save(buffer, "png")
    source = f"data:image;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    points = [{"rev": f"revision {number}", "src": source} for number in range(revisions)]
    template = tmp_path / "page.html"
    template.write_text(build_page(), encoding="utf-8")
    pictures = ImageRenderer(points, "metrics/figures/loss.png")
    page_file = render_html([pictures], tmp_path / "index.html", template)
    page.goto(Path(page_file).as_uri())
    boxes = [image.bounding_box() for image in page.locator("img").all()]
    places = [(box["x"], box["y"], box["x"] + box["width"]) for box in boxes if box]
    assert len(places) == revisions
    assert all(0 <= left < right <= 1200 for left, _, right in places)
    assert len({top for _, top, _ in places}) == -(-revisions // 2)  # two in a row
