"""The figure that CONTRIBUTING.md has as an example is drawn as it stands there."""

from types import SimpleNamespace
from typing import Any

import pandas as pd

from pipeline.figures import curves
from pipeline.figures.figure_style import to_png
from tests.documented import recipe


def test_recipe_draws_the_figure_of_its_entry() -> None:
    names: dict[str, Any] = vars(curves).copy()
    exec(recipe("@styled\ndef confidence_histogram"), names)  # noqa: S102
    entry = recipe('"confidence_histogram": ')
    (draw,) = eval(f"{{{entry}}}", {"curves": SimpleNamespace(**names)}).values()  # noqa: S307
    predictions = pd.DataFrame({"probability": [0.26, 0.99, 0.98]})

    figure = draw(SimpleNamespace(predictions=predictions))

    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert {place: height for place, height in enumerate(heights) if height} == {5: 1, 19: 2}
    assert "3 test images" in [text.get_text() for text in figure.texts]
    assert to_png(figure).startswith(b"\x89PNG")
