"""The layers of a network behind each other, in a space that one can turn."""

import math

from nicegui import ui
from nicegui.elements.scene.scene_object3d import Object3D

from pipeline.explore import rendering

SIDE, SPACING = 4.0, 3.2
FACING = [[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]  # upright, towards lower x
FIELD_OF_VIEW = 12  # degrees
ASPECT = 2.4  # width to height of what is seen
TURNED = 55  # degrees between the line of sight and the axis of the stack, at first


class Plane(Object3D, component="plane.js"):
    """A picture in its own proportions, whatever picture it shows."""

    def __init__(self, side: float, url: str) -> None:
        """Put it into the present scene; `side` is the length of its longer side."""
        super().__init__(side, url)

    def show(self, url: str) -> None:
        """Show another picture."""
        self.args[1] = url  # for a browser that has to rebuild the scene
        self.run_method("show", url)


class Stack:
    """A row of planes: the image and what each layer makes of it."""

    def __init__(self) -> None:
        camera = ui.scene.perspective_camera(fov=FIELD_OF_VIEW)
        self.scene = ui.scene(grid=False, camera=camera, background_color=rendering.BACKGROUND)
        self.scene.style(f"width: 100%; aspect-ratio: {ASPECT}")
        self.scene.props('role=img aria-label="The layers of the network, one behind the other"')
        # The wheel scrolls the page; with Ctrl, as two fingers on a touchpad send it, it zooms.
        unless_zooming = "(event) => { if (!event.ctrlKey) event.stopPropagation(); }"
        self.scene.on("wheel.capture", js_handler=unless_zooming)
        with ui.row().classes("w-full items-center no-wrap"):
            ui.label("Turn").classes("note")
            self._angle = ui.slider(min=0, max=180, value=TURNED, on_change=self._turn)
            self._angle.props('aria-label="Turn the stack"')
        self._planes: dict[str, Plane] = {}

    def show(self, layers: dict[str, str]) -> None:
        """Show layers.

        Args:
            layers: the URL of the picture of each layer, by captions.
        """
        if layers.keys() == self._planes.keys():
            for caption, url in layers.items():
                self._planes[caption].show(url)
        else:
            self._build(layers)

    def _build(self, layers: dict[str, str]) -> None:
        self.scene.delete_objects()
        self._planes = {}
        with self.scene:
            for place, (caption, url) in enumerate(layers.items()):
                self._planes[caption] = Plane(SIDE, url)
                self._planes[caption].rotate_R(FACING).move(x=place * SPACING)
                self.scene.text(caption).move(x=place * SPACING, z=-0.62 * SIDE)
        self._turn()

    def _turn(self) -> None:
        """Look at the middle of the stack, under the chosen angle with its axis."""
        length = SPACING * (len(self._planes) - 1)
        # So far away that all is in view even at right angles, where it is widest.
        height = max(1.55 * SIDE, 1.1 * math.hypot(length, SIDE) / ASPECT)
        distance = height / (2 * math.tan(math.radians(FIELD_OF_VIEW / 2)))
        angle = math.radians(self._angle.value)
        self.scene.move_camera(
            x=length / 2 - distance * math.cos(angle),
            y=-distance * math.sin(angle),
            z=0.12 * distance,
            look_at_x=length / 2,
            look_at_z=-0.1 * SIDE,  # below are the captions
            duration=0,
        )
