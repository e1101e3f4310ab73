"""The page: what a visitor does on it, and how the answers come."""

from pathlib import Path

import numpy as np
from nicegui import run, ui

from pipeline.core.arrays import ByteArray
from pipeline.explore import drawing
from pipeline.explore.answer_panel import AnswerPanel
from pipeline.explore.chooser import Chooser
from pipeline.explore.dropped import DropZone
from pipeline.explore.material import Material
from pipeline.explore.pad import Pad
from pipeline.explore.stack import Stack
from pipeline.explore.views import explain, look
from pipeline.figures.figure_style import BLUE

STYLE = Path(__file__).with_name("page.css")
TITLE = "What the network sees"
DRAW = "Draw with the mouse or a finger, drop an image, or pick a test image. "
NO_DRAW = "Drop an image, or pick a test image. "
NOTHING_DRAWN = "Draw something, or pick a test image."
NOTHING = "Drop an image, or pick a test image."
INTRODUCTION = (
    "The network says at once what it takes it for, and shows each step on its way there."
)
LAYERS = (
    "Each plane is a layer, and each of its tiles shows where one filter finds its pattern: the "
    "brighter, the stronger. Drag to turn the stack; zoom with two fingers, or Ctrl and the wheel."
)


class Page:
    """One visitor's page."""

    def __init__(self, material: Material) -> None:
        """Build the page."""
        self._images, self._models = material.test.images, material.models
        self._labels, self._classes = material.test.labels, material.classes
        self._model = next(iter(material.models.values()))
        self._given: ByteArray | None = None  # a test image, or one of the visitor's
        self._truth: int | None = None  # the label of a test image
        self._stale = self._busy = False

        shape = self._images.shape[1:]
        is_grey = shape[2] == 1
        ui.add_css(STYLE)
        ui.colors(primary=BLUE)
        with ui.element().classes("page"):
            with ui.element("header"):
                ui.html(tag="h1", content=TITLE)
                ui.html(tag="p", content=(DRAW if is_grey else NO_DRAW) + INTRODUCTION)
                choice = ui.toggle(list(material.models), value=next(iter(material.models)))
                choice.props("no-caps")
                choice.on_value_change(lambda event: self._choose(event.value))
                if material.no_champion:
                    ui.label(material.no_champion).classes("note")
            with ui.element("section").classes("draw"):
                ui.html(tag="h2", content="Draw, drop or pick" if is_grey else "Drop or pick")
                self._pad = Pad(shape, self._draw)
                with ui.row().classes("w-full items-center justify-between no-wrap"):
                    self._caption = ui.label().classes("note")
                    ui.button("Clear", on_click=self._clear).props("outline")
                DropZone(shape, self._drop)
                self._chooser = Chooser(
                    material.test.labels, material.errors, material.classes, self._pick
                )
            with ui.element("section").classes("results"):
                ui.html(tag="h2", content="Its answer")
                self._panel = AnswerPanel(material.classes, NOTHING_DRAWN if is_grey else NOTHING)
            with ui.element("section").classes("wide"):
                ui.html(tag="h2", content="On the way there")
                ui.html(tag="p", content=LAYERS).classes("note")
                self._stack = Stack()
        ui.timer(0, self._answer, once=True)

    async def _draw(self) -> None:
        if self._given is not None:
            self._chooser.clear()
            self._set(None)
        await self._answer()

    async def _pick(self, number: int) -> None:
        truth = int(self._labels[number])
        caption = f"Test image {number:,}, labelled {self._classes[truth]}"
        self._set(self._images[number], caption, truth)
        self._pad.show(self._given)
        await self._answer()

    async def _drop(self, image: ByteArray, name: str) -> None:
        self._chooser.clear()
        self._set(image, name)
        self._pad.show(image)
        await self._answer()

    async def _clear(self) -> None:
        self._chooser.clear()
        self._set(None)
        self._pad.show(None)
        await self._answer()

    def _set(self, given: ByteArray | None, caption: str = "", truth: int | None = None) -> None:
        self._given, self._truth = given, truth
        self._caption.set_text(caption)

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
        image, model, truth = self._image(), self._model, self._truth
        # In threads, so that the pad keeps drawing. None comes when the server ends.
        view = await run.io_bound(look, model, image)
        if view is None:
            return
        self._stack.show(view.layers)
        if self._given is None and not image.any():
            self._panel.clear()
            return
        self._panel.show(view.image, view.probabilities, truth)
        if self._stale or self._pad.pen_down:  # it takes longer, and would keep the rest waiting
            return
        best = int(view.probabilities.argmax())
        classes = [best] if truth is None or truth == best else [best, truth]
        shown = [await run.io_bound(explain, model, image, label) for label in classes]
        if all(shown) and not self._stale:
            self._panel.show_attributions([*filter(None, shown)])

    def _image(self) -> ByteArray:
        """Return what the network gets: (height, width, channels), uint8."""
        if self._given is not None:
            return self._given
        height, width, channels = self._images.shape[1:]
        grey = drawing.centre(self._pad.ink(), (height, width))
        return np.repeat(grey[:, :, None], channels, axis=2)
