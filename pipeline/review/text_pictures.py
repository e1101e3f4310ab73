"""The pictures of a report as text, which GitHub shows without any host: braille and Mermaid."""

import html
import json
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.core.arrays import ByteArray
from pipeline.review.changes import changed_images
from pipeline.review.pictures import ChangedImages
from pipeline.review.revision import Revision

SIDE = 28  # pixels, to which larger images are scaled
SHOWN, PER_ROW = 8, 4
POINTS = 25  # epochs of a chart
NAME = 24  # characters of a class's name
# Of the dots of a braille character, 4 rows of 2 columns.
BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
BLANK = 0x2800
GREY, BLUE = "#8b949e", "#2f81f7"  # on white and on black
SETTINGS = {
    "xyChart": {"width": 700, "height": 260},
    "themeVariables": {"xyChart": {"plotColorPalette": f"{GREY}, {BLUE}"}},
}


def draw_braille(image: ByteArray) -> str:
    """Draw an image in braille, two columns and four rows of pixels a character.

    The brighter half of its range is dots. Larger images than 28x28 are scaled down.

    Args:
        image: (height, width, channels).
    """
    grey = image.mean(axis=2)
    height, width = grey.shape
    if max(height, width) > SIDE:
        scale = SIDE / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        grey = np.asarray(Image.fromarray(grey.astype(np.uint8)).resize(size, Image.Resampling.BOX))
        height, width = grey.shape
    low, high = float(grey.min()), float(grey.max())
    dots = np.zeros((height + -height % 4, width + -width % 2), bool)
    dots[:height, :width] = grey > (low + high) / 2
    cells = dots.reshape(dots.shape[0] // 4, 4, dots.shape[1] // 2, 2)
    codes = BLANK + np.einsum("irjc,rc->ij", cells, BITS)
    return "\n".join("".join(map(chr, row)) for row in codes)


def show_pictures(
    old: Revision, new: Revision, changed: ChangedImages | str | None
) -> Iterator[str]:
    """Yield sections of Markdown that need no files.

    Args:
        old: the base.
        new: the head.
        changed: as `pictures.find_changed` returns it.
    """
    images = show_changed_images(*changed) if isinstance(changed, tuple) else changed
    curves = show_training_curves(old.history, new.history)
    if images or curves:
        yield "### Pictures"
    yield from filter(None, (images, curves))


def show_changed_images(old: pd.DataFrame, new: pd.DataFrame, images: ByteArray) -> str:
    """Return images that a change broke and fixed, surest errors first, as HTML for Markdown.

    Args:
        old: one row for each image that the old model misclassifies, with columns image, label,
            predicted and probability.
        new: likewise for the new model.
        images: the test images, (N, height, width, channels).
    """
    broken, fixed = changed_images(old, new)
    many = min(len(broken), max(SHOWN // 2, SHOWN - len(fixed)))
    shown = broken.head(many), fixed.head(SHOWN - many)
    parts = zip(("Broken", "Fixed"), (broken, fixed), shown, strict=True)
    return "\n\n".join(
        f"{title}: {len(every)}{f', {len(some)} of them shown' if len(some) < len(every) else ''}"
        f"\n\n{_table(some, images)}"
        for title, every, some in parts
        if len(every)
    )


def show_training_curves(old: pd.DataFrame, new: pd.DataFrame) -> str:
    """Return validation accuracy and loss by epoch, before and after, as charts for Mermaid.

    Args:
        old: one row per epoch, with columns epoch, val_accuracy and val_loss; a measure that is
            missing on a side, or no number, has no chart.
        new: likewise.
    """
    return "\n\n".join(
        chart
        for column, title in (
            ("val_accuracy", "Validation accuracy"),
            ("val_loss", "Validation loss"),
        )
        for chart in _chart(old, new, column, title)
    )


def _table(errors: pd.DataFrame, images: ByteArray) -> str:
    cells = [
        f"<td><pre>{draw_braille(images[image])}</pre>"
        f"{_name(label)} → {_name(predicted)}<br>image {image:,}</td>"
        for image, label, predicted in zip(
            errors["image"], errors["label"], errors["predicted"], strict=True
        )
    ]
    rows = [cells[start : start + PER_ROW] for start in range(0, len(cells), PER_ROW)]
    return "\n".join(["<table>", *(f"<tr>{''.join(row)}</tr>" for row in rows), "</table>"])


def _name(label: object) -> str:
    name = " ".join(str(label).split())
    return html.escape(name if len(name) <= NAME else f"{name[: NAME - 1]}…")


def _chart(old: pd.DataFrame, new: pd.DataFrame, column: str, title: str) -> Iterator[str]:
    longest = max(old["epoch"].max(), new["epoch"].max())
    if longest < 2 or not {column} <= {*old.columns} & {*new.columns}:
        return
    step = math.ceil(longest / POINTS)
    epochs = [*range(step, longest + 1, step)]
    lines = [side.set_index("epoch")[column].reindex(epochs).dropna() for side in (old, new)]
    values = pd.concat(lines)
    if not np.isfinite(values).all() or min(map(len, lines)) == 0:
        return
    margin = 0.05 * (values.max() - values.min()) or 0.01
    low, high = max(0, values.min() - margin), values.max() + margin
    yield "\n".join(
        [
            "```mermaid",
            f"%%{{init: {json.dumps(SETTINGS)}}}%%",
            "xychart-beta",
            f'    title "{title}: grey before, blue after"',
            f'    x-axis "Epoch" {epochs}',
            f"    y-axis {low:.4f} --> {high:.4f}",
            *(f"    line [{', '.join(f'{value:.4f}' for value in line)}]" for line in lines),
            "```",
        ]
    )
