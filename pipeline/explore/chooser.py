"""The controls that pick a test image: by its number, by class, among the errors."""

from collections.abc import Awaitable, Callable

import numpy as np
from nicegui import ui

from pipeline.core.arrays import IntArray, LabelArray

ANY = -1  # class


class Chooser:
    """Steps through the test images, or those of a class, or those that are errors."""

    def __init__(
        self,
        labels: LabelArray,
        errors: IntArray,
        classes: list[str],
        on_pick: Callable[[int], Awaitable[None]],
    ) -> None:
        """Put the controls on the page.

        Args:
            labels: of the test images, (N,).
            errors: numbers of the test images that the current model gets wrong, counted from 0.
            classes: their names, by label.
            on_pick: is called with the number of each image that is picked.
        """
        self._labels, self._errors, self._on_pick = labels, errors, on_pick
        with ui.row().classes("items-center gap-2 no-wrap"):
            self._step_button("chevron_left", "Previous test image", -1)
            self._number = ui.number("Image", min=0, max=len(labels) - 1, precision=0)
            self._number.classes("w-24").on_value_change(self._pick)
            self._step_button("chevron_right", "Next test image", 1)
            self._class = ui.select({ANY: "any", **dict(enumerate(classes))}, value=ANY)
            self._class.props("label=Class").classes("w-28")
            self._class.on_value_change(lambda: self._step(0))
        self._only_errors = ui.checkbox("only those that the current model gets wrong")
        self._only_errors.on_value_change(lambda: self._step(0))

    def clear(self) -> None:
        """Pick none."""
        self._number.set_value(None)

    def _step_button(self, icon: str, meaning: str, step: int) -> None:
        button = ui.button(icon=icon, on_click=lambda: self._step(step)).props("flat round")
        button.props(f'aria-label="{meaning}"').tooltip(meaning)

    async def _pick(self) -> None:
        if self._number.value is not None:
            last = len(self._labels) - 1  # what is typed may lie beyond
            await self._on_pick(min(max(0, int(self._number.value)), last))

    def _step(self, step: int) -> None:
        """Go to the next, the previous or (0) the first image of those that are asked for."""
        only = self._errors if self._only_errors.value else None
        asked = find(self._labels, self._class.value, only)
        if len(asked):
            present = self._number.value
            self._number.set_value(move(asked, -step if present is None else int(present), step))
        else:
            ui.notify("There is no such test image.")


def find(labels: LabelArray, label: int, only: IntArray | None) -> IntArray:
    """Return the numbers of the images of a class or, for ANY, of all, in ascending order.

    Args:
        labels: of all images, (N,).
        label: of the class.
        only: numbers of the images to choose from; None: all.
    """
    wanted = (labels == label) | (label == ANY)
    if only is not None:
        wanted &= np.isin(np.arange(len(labels)), only)
    return np.flatnonzero(wanted)


def move(numbers: IntArray, present: int, step: int) -> int:
    """Return the number before (-1) or after (1) the present one, or the first (0).

    After the last comes the first, and before the first the last.
    """
    if step == 0:
        place = 0
    elif step > 0:
        place = int(np.searchsorted(numbers, present, side="right"))
    else:
        place = int(np.searchsorted(numbers, present, side="left")) - 1
    return int(numbers[place % len(numbers)])
