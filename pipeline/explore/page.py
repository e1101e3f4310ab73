"""The page: what a visitor does on it, and how the answers come."""

from pathlib import Path

import numpy as np
from nicegui import run, ui

from pipeline.core.arrays import ByteArray
from pipeline.explore import drawing
from pipeline.explore.chooser import Chooser
from pipeline.explore.material import Material
from pipeline.explore.pad import Pad
from pipeline.explore.results import Results
from pipeline.explore.stack import Stack
from pipeline.explore.views import explain, look
from pipeline.figures.figure_style import BLUE

STYLE = Path(__file__).with_name("page.css")
TITLE = "What the network sees"
INTRODUCTION = (
    "Draw with the mouse or a finger, or pick a test image. The network says at once what it takes "
    "it for, and shows each step on its way there."
)
LAYERS = (
    "Each plane is a layer, and each of its tiles shows where one filter finds its pattern: the "
    "brighter, the stronger. Drag to turn the stack; zoom with the wheel or two fingers."
)


class Page:
    """One visitor's page."""

    def __init__(self, material: Material) -> None:
        """Build the page."""
        self._images, self._models = material.test.images, material.models
        self._labels = [material.classes[label] for label in material.test.labels]
        self._model = next(iter(material.models.values()))
        self._picked: int | None = None
        self._stale = self._busy = False

        ui.add_css(STYLE)
        ui.colors(primary=BLUE)
        with ui.element().classes("page"):
            with ui.element("header"):
                ui.html(tag="h1", content=TITLE)
                ui.html(tag="p", content=INTRODUCTION)
                choice = ui.toggle(list(material.models), value=next(iter(material.models)))
                choice.props("no-caps")
                choice.on_value_change(lambda event: self._choose(event.value))
                if material.no_champion:
                    ui.label(material.no_champion).classes("note")
            with ui.element("section").classes("draw"):
                ui.html(tag="h2", content="Draw or pick")
                self._pad = Pad(self._images.shape[1:3], self._draw)
                with ui.row().classes("w-full items-center justify-between no-wrap"):
                    self._truth = ui.label().classes("note")
                    ui.button("Clear", on_click=self._clear).props("outline")
                self._chooser = Chooser(
                    material.test.labels, material.errors, material.classes, self._pick
                )
            with ui.element("section").classes("results"):
                ui.html(tag="h2", content="Its answer")
                self._results = Results(material.classes)
            with ui.element("section").classes("wide"):
                ui.html(tag="h2", content="On the way there")
                ui.html(tag="p", content=LAYERS).classes("note")
                self._stack = Stack()
        ui.timer(0, self._answer, once=True)

    async def _draw(self) -> None:
        if self._picked is not None:
            self._picked = None
            self._chooser.clear()
            self._truth.set_text("")
        await self._answer()

    async def _pick(self, number: int) -> None:
        self._picked = number
        self._pad.show(self._images[number])
        self._truth.set_text(f"Test image {number}, labelled {self._labels[number]}")
        await self._answer()

    async def _clear(self) -> None:
        self._picked = None
        self._chooser.clear()
        self._truth.set_text("")
        self._pad.show(None)
        await self._answer()

    async def _choose(self, name: str) -> None:
        self._model = self._models[name]
        await self._answer()

    async def _answer(self) -> None:
        """Answer what is on the pad now; what changes meanwhile is answered once, afterwards."""
        self._stale = True
        if self._busy:
            return
        self._busy = True
        try:
            while self._stale:
                self._stale = False
                await self._answer_once()
        finally:
            self._busy = False

    async def _answer_once(self) -> None:
        image, model = self._image(), self._model
        # In threads, so that the pad goes on drawing. None comes when the server ends.
        view = await run.io_bound(look, model, image)
        if view is None:
            return
        self._stack.show(view.layers)
        if self._picked is None and not image.any():
            self._results.clear()
            return
        self._results.show(view.image, view.probabilities)
        if self._stale or self._pad.pen_down:  # it takes longer, and would keep the rest waiting
            return
        best = int(view.probabilities.argmax())
        attribution = await run.io_bound(explain, model, image, best)
        if attribution is not None:
            self._results.show_attribution(attribution)

    def _image(self) -> ByteArray:
        """Return what the network gets: (height, width, channels), uint8."""
        if self._picked is not None:
            picked: ByteArray = self._images[self._picked]
            return picked
        height, width, channels = self._images.shape[1:]
        grey = drawing.centre(self._pad.ink(), (height, width))
        return np.repeat(grey[:, :, None], channels, axis=2)
