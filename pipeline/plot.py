"""Stage `plot`: draw what training and evaluation found, and name the state it belongs to."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from pipeline.core import files, splits, stage
from pipeline.core.classes import CLASSES, read_classes
from pipeline.core.splits import TEST, SplitFiles
from pipeline.evaluation.observations import read_observations
from pipeline.evaluation.paths import EVALUATION, OBSERVATIONS, PREDICTIONS
from pipeline.evaluation.predictions import parse_predictions
from pipeline.figures import catalogue, figure_style
from pipeline.figures.catalogue import Results
from pipeline.figures.paths import FIGURES, NETWORK_PICTURES
from pipeline.figures.picture_parts import shorten_classes, shorten_names
from pipeline.provenance import state
from pipeline.provenance.params import check_start
from pipeline.provenance.state import STATE_FILES, STATE_ID, StateSections
from pipeline.training.paths import HISTORY


def _table(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


def main(
    sections: type[StateSections] = StateSections,
    history: Path = HISTORY,
    evaluation: Path = EVALUATION,
    predictions: Path = PREDICTIONS,
    observations: Path = OBSERVATIONS,
    classes: Path = CLASSES,
    test: SplitFiles = TEST,
    figures: Path = FIGURES,
    pictures: Path = NETWORK_PICTURES,
    state_files: Sequence[Path] = STATE_FILES,
    state_id: Path = STATE_ID,
) -> None:
    """Read what training and evaluation found, and the test images; write figures and state."""
    params = sections.load()
    names = read_classes(classes)
    results = Results(
        history=files.read_text(history, _table),
        metrics=files.read_text(evaluation, json.loads),
        level=params.evaluate.confidence,
        predictions=shorten_classes(files.read_text(predictions, parse_predictions), names),
        observations=read_observations(observations),
        test=splits.read_split(test),
        names=shorten_names(names),
    )
    _write_figures(figures, {name: draw(results) for name, draw in catalogue.IN_GIT.items()})
    drawn = {name: draw(results) for name, draw in catalogue.IN_CACHE.items()}
    _write_figures(pictures, drawn | catalogue.draw_maps(results))
    files.write_text(state_id, state.identify(params, state_files) + "\n")


def _write_figures(folder: Path, drawn: Mapping[str, Figure]) -> None:
    """Write the figures into a folder, and remove those of another code or other params."""
    pngs = {folder / f"{name}.png": figure_style.to_png(figure) for name, figure in drawn.items()}
    for path in set(folder.rglob("*.png")) - set(pngs):
        path.unlink()
    for path, png in pngs.items():
        files.write_bytes(path, png)


if __name__ == "__main__":
    stage.run(main, check=check_start)
