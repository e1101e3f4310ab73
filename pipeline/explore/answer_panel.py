"""What the network answers, in words, bars and pictures."""

from collections.abc import Sequence

import numpy as np
from nicegui import ui
from PIL import Image

from pipeline.core.arrays import FloatArray
from pipeline.explore import rendering
from pipeline.figures.figure_style import SKY, VERMILLION

BARS = 10
BLANK = rendering.url(Image.new("L", (1, 1), 255))


class AnswerPanel:
    """The most probable class, the probabilities, the image and what speaks for the class."""

    def __init__(self, classes: list[str], nothing: str) -> None:
        """Put all of it on the page, still empty.

        Args:
            classes: their names. Of more than BARS, the most probable ones are shown.
            nothing: what is said while there is no image.
        """
        self._classes, self._nothing = classes, nothing
        self._answer = ui.label(nothing).classes("answer").props("aria-live=polite")
        with ui.row().classes("gap-6"):
            with ui.column().classes("gap-1"):
                ui.label("What the network gets").classes("note")
                self._image = _small_picture("The image that the network gets")
            with ui.column().classes("gap-1"):
                self._for_answer = ui.label().classes("note")
                self._attribution = _small_picture("Which pixels speak for its answer")
                with ui.row().classes("gap-2 note"):
                    ui.html(f'<b style="color: {VERMILLION}">■</b> for', sanitize=False)
                    ui.html(f'<b style="color: {SKY}">■</b> against', sanitize=False)
            with ui.column().classes("gap-1") as self._true_part:
                self._for_truth = ui.label().classes("note")
                self._true_attribution = _small_picture("Which pixels speak for the true class")
        self._bars = []
        with ui.element("div").classes("bars"):
            for _ in range(min(BARS, len(classes))):
                name = ui.label().classes("name")
                bar = ui.linear_progress(0, show_value=False, size="16px", color=None)
                bar.props("instant-feedback")
                self._bars.append((name, bar, ui.label().classes("share")))
        self.clear()

    def clear(self) -> None:
        """Show that there is nothing to answer."""
        self._say(self._nothing, wrong=False)
        self._for_answer.set_text("Which pixels say so")
        self._image.set_source(BLANK)
        self.show_attributions([BLANK])
        self._show_bars(np.zeros(len(self._classes), np.float32))

    def show(self, image: str, probabilities: FloatArray, truth: int | None) -> None:
        """Show the answer, and whether it is wrong.

        Args:
            image: URL of the image that the network got.
            probabilities: of each class, (classes,).
            truth: the label of the image; None where nobody knows it.
        """
        best = int(probabilities.argmax())
        answer, wrong = self._classes[best], truth not in (None, best)
        label = self._classes[truth] if truth is not None else ""
        self._say(f"Most likely: {answer}{f'. Wrong: it is {label}' if wrong else ''}", wrong=wrong)
        self._for_answer.set_text(f"Which pixels say {answer}")
        self._for_truth.set_text(f"Which pixels say {label}")
        self._true_attribution.set_source(BLANK)  # of the image before
        self._true_part.set_visibility(wrong)
        self._image.set_source(image)
        self._show_bars(probabilities, truth if wrong else None)

    def show_attributions(self, attributions: Sequence[str]) -> None:
        """Show what speaks for and against the answer and, if it is wrong, the true class.

        Args:
            attributions: the URL of the picture of each.
        """
        self._attribution.set_source(attributions[0])
        self._true_part.set_visibility(len(attributions) > 1)
        if len(attributions) > 1:
            self._true_attribution.set_source(attributions[1])

    def _say(self, text: str, *, wrong: bool) -> None:
        self._answer.set_text(text)
        self._answer.classes(add="wrong" if wrong else "", remove="" if wrong else "wrong")

    def _show_bars(self, probabilities: FloatArray, truth: int | None = None) -> None:
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
            bar.classes(remove="best wrong true")
            if number == best and probability:
                bar.classes("best" if truth is None else "wrong")
            elif number == truth:
                bar.classes("true")


def percent(probability: float) -> str:
    """Return a probability in percent, and never as quite certain."""
    if probability > 0.999:
        return "> 99.9%"
    return f"{100 * probability:.1f}%" if probability >= 0.001 else "< 0.1%"


def _small_picture(meaning: str) -> ui.interactive_image:
    picture = ui.interactive_image(BLANK).classes("small-picture")
    return picture.props(f'role=img aria-label="{meaning}"')
