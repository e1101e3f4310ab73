"""The controls that pick a test image: by its number, by class, among the errors."""

from collections.abc import Awaitable, Callable

import numpy as np
import numpy.typing as npt
from nicegui import ui

from pipeline.explore.material import Material

ANY = -1  # class


class Chooser:
    """Steps through the test images, or those of a class, or those that are errors."""

    def __init__(self, material: Material, on_pick: Callable[[int], Awaitable[None]]) -> None:
        """Put the controls on the page.

        Args:
            material: the test images.
            on_pick: is called with the number of each image that is picked, counted from 0.
        """
        self._material, self._on_pick = material, on_pick
        names = dict(enumerate(material.classes))
        with ui.row().classes("items-center gap-2 no-wrap"):
            self._step_button("chevron_left", "Previous test image", -1)
            self._number = ui.number("Image", min=0, max=len(material.test.labels) - 1, precision=0)
            self._number.classes("w-24").on_value_change(self._pick)
            self._step_button("chevron_right", "Next test image", 1)
            self._class = ui.select({ANY: "any", **names}, value=ANY, label="Class")
            self._class.classes("w-28").on_value_change(lambda: self._step(0))
        self._errors = ui.checkbox("only those that the current model gets wrong")
        self._errors.on_value_change(lambda: self._step(0))

    def clear(self) -> None:
        """Pick none."""
        self._number.set_value(None)

    def _step_button(self, icon: str, meaning: str, step: int) -> None:
        button = ui.button(icon=icon, on_click=lambda: self._step(step)).props("flat round")
        button.props(f'aria-label="{meaning}"').tooltip(meaning)

    async def _pick(self) -> None:
        if self._number.value is not None:  # which may have been typed
            await self._on_pick(
                int(np.clip(self._number.value, 0, len(self._material.test.labels) - 1))
            )

    def _step(self, step: int) -> None:
        """Go to the next, the previous or (0) the first image of those that are asked for."""
        asked = find(self._material, self._class.value, self._errors.value)
        if not len(asked):
            ui.notify("There is no such test image.")
            return
        present = self._number.value if self._number.value is not None else -step
        self._number.set_value(int(move(asked, present, step)))


def find(material: Material, label: int, only_errors: bool) -> npt.NDArray[np.int64]:
    """Return the numbers of the test images of a class (or ANY), sorted."""
    wanted = np.full(len(material.test.labels), label == ANY) | (material.test.labels == label)
    if only_errors:
        wanted &= np.isin(np.arange(len(wanted)), material.errors)
    return np.flatnonzero(wanted)


def move(numbers: npt.NDArray[np.int64], present: int, step: int) -> int:
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
