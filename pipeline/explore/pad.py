"""The pad that a visitor draws on, with a mouse or a finger."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui
from nicegui.events import MouseEventArguments
from PIL import Image

from pipeline.core.arrays import ByteArray
from pipeline.explore import drawing, rendering

FINENESS = 10  # points of the pad to a pixel of the image
HINT = '<text x="50%" y="50%" text-anchor="middle" fill="#9aa7b5" font-size="20">{}</text>'

EVENTS = ["pointerdown", "pointerenter", "pointermove", "pointerup", "pointerleave"]


class Pad:
    """White strokes on black, or a picture, which the first stroke wipes away.

    Colour images are only shown on it: nobody draws what looks like a photograph.
    """

    def __init__(self, shape: tuple[int, int, int], on_draw: Callable[[], Awaitable[None]]) -> None:
        """Put the pad on the page.

        Args:
            shape: height, width and channels of the images, in pixels.
            on_draw: is called after each point that a visitor draws, and at the end of a stroke.
        """
        self.strokes: list[list[tuple[float, float]]] = []
        self.pen_down = False
        self._size = FINENESS * shape[0], FINENESS * shape[1]
        self._pen = drawing.PEN * min(self._size)
        self._on_draw = on_draw
        self._black = rendering.url(Image.new("L", self._size[::-1]))
        is_grey = shape[2] == 1
        self._hint = HINT.format("Draw here" if is_grey else "Pick or drop an image")
        self._surface = ui.interactive_image(
            self._black,
            content=self._hint,
            events=EVENTS if is_grey else [],
            on_mouse=self._draw if is_grey else None,
            sanitize=False,  # all of it is made here
        )
        # A finger draws, and does not scroll the page.
        self._surface.classes("pad" if is_grey else "pad shown")
        meaning = "Pad to draw on" if is_grey else "The image"
        self._surface.props(f'role=img aria-label="{meaning}"')

    def ink(self) -> ByteArray:
        """Return what is drawn, white on black, finer than the images: (height, width), uint8."""
        return drawing.draw(self.strokes, self._size, self._pen)

    def show(self, image: ByteArray | None) -> None:
        """Wipe off the strokes, and show an image (height, width, channels), or nothing."""
        self.strokes.clear()
        self.pen_down = False
        picture = None if image is None else rendering.to_picture(image, FINENESS)
        self._surface.set_source(rendering.url(picture) if picture else self._black)
        self._surface.set_content("" if picture else self._hint)

    async def _draw(self, event: MouseEventArguments) -> None:
        pressed = bool(event.buttons & 1) and event.type != "pointerleave"
        if not pressed and not self.pen_down:
            return
        if pressed:
            self._add((event.image_x, event.image_y))
        self.pen_down = pressed
        await self._on_draw()

    def _add(self, point: tuple[float, float]) -> None:
        if not self.strokes:
            self._surface.set_source(self._black)
        if not self.pen_down:
            self.strokes.append([])
        self.strokes[-1].append(point)
        self._surface.set_content(
            f'<path d="{trace(self.strokes)}" fill="none" stroke="white" stroke-width="{self._pen}"'
            ' stroke-linecap="round" stroke-linejoin="round"/>'
        )


def trace(strokes: Sequence[drawing.Stroke]) -> str:
    """Return strokes as a path of SVG; a dot goes to where it is."""
    lines = (" L".join(f"{x:.1f} {y:.1f}" for x, y in [stroke[0], *stroke]) for stroke in strokes)
    return "".join(f"M{line}" for line in lines)
