"""What the network answers, in words, bars and pictures."""

import numpy as np
from nicegui import ui
from PIL import Image

from pipeline.core.arrays import FloatArray
from pipeline.explore import pictures
from pipeline.figures.figure_style import SKY, VERMILLION

BARS = 10
NOTHING = "Draw something, or pick a test image."
BLANK = pictures.url(Image.new("L", (1, 1), 255))


class Results:
    """The most probable class, the probabilities, the image and what speaks for the class."""

    def __init__(self, classes: list[str]) -> None:
        """Put all of it on the page, still empty.

        Args:
            classes: their names. Of more than BARS, the most probable ones are shown.
        """
        self._classes = classes
        self._answer = ui.label(NOTHING).classes("answer").props("aria-live=polite")
        with ui.row().classes("gap-6"):
            with ui.column().classes("gap-1"):
                ui.label("What the network gets").classes("note")
                self._image = _small_picture("The image that the network gets")
            with ui.column().classes("gap-1"):
                ui.label("Which pixels say so").classes("note")
                self._attribution = _small_picture("Which pixels speak for its answer")
                with ui.row().classes("gap-2 note"):
                    ui.html(f'<b style="color: {VERMILLION}">■</b> for', sanitize=False)
                    ui.html(f'<b style="color: {SKY}">■</b> against', sanitize=False)
        self._bars = []
        with ui.element("div").classes("bars"):
            for _ in range(min(BARS, len(classes))):
                name = ui.label().classes("name")
                bar = ui.linear_progress(0, show_value=False, size="16px").props("instant-feedback")
                self._bars.append((name, bar, ui.label().classes("share")))
        self.clear()

    def clear(self) -> None:
        """Show that there is nothing to answer."""
        self._answer.set_text(NOTHING)
        self._image.set_source(BLANK)
        self.show_attribution(BLANK)
        self._show_bars(np.zeros(len(self._classes), np.float32))

    def show(self, image: str, probabilities: FloatArray) -> None:
        """Show the answer.

        Args:
            image: URL of the image that the network got.
            probabilities: of each class, (classes,).
        """
        best = int(probabilities.argmax())
        self._answer.set_text(f"Most likely: {self._classes[best]}")
        self._image.set_source(image)
        self._show_bars(probabilities)

    def show_attribution(self, attribution: str) -> None:
        """Show what speaks for and against the answer; the URL is of its picture."""
        self._attribution.set_source(attribution)

    def _show_bars(self, probabilities: FloatArray) -> None:
        best = int(probabilities.argmax())
        shown = np.arange(len(probabilities))
        if len(shown) > len(self._bars):
            shown = np.argsort(-probabilities, kind="stable")[: len(self._bars)]
        for number, (name, bar, share) in zip(shown, self._bars, strict=True):
            probability = probabilities[number]
            name.set_text(self._classes[number])
            bar.set_value(float(probability))
            bar.props["aria-label"] = self._classes[number]
            share.set_text(percent(probability) if probability else "")
            if number == best and probability:
                bar.classes("best")
            else:
                bar.classes(remove="best")


def percent(probability: float) -> str:
    """Return a probability in percent, and never as quite certain."""
    if probability > 0.999:
        return "> 99.9 %"
    return f"{100 * probability:.1f} %" if probability >= 0.001 else "< 0.1 %"


def _small_picture(meaning: str) -> ui.interactive_image:
    picture = ui.interactive_image(BLANK).classes("small-picture")
    return picture.props(f'role=img aria-label="{meaning}"')
