"""Stage `plot`: draw what training and evaluation found, and name the state it belongs to."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from pipeline.core import files, splits, stage
from pipeline.core.arrays import Split
from pipeline.core.classes import CLASSES, read_classes
from pipeline.core.splits import TEST, SplitFiles
from pipeline.evaluation import calibration
from pipeline.evaluation.observations import Observations, read_observations
from pipeline.evaluation.paths import EVALUATION, OBSERVATIONS, PREDICTIONS
from pipeline.evaluation.predictions import parse_predictions
from pipeline.figures import curves, error_figures, example_figures, figure_style, network_figures
from pipeline.figures.paths import FIGURES, NETWORK_PICTURES
from pipeline.figures.picture_parts import grey_colours, shorten_classes, shorten_names
from pipeline.provenance import state
from pipeline.provenance.params import load_params
from pipeline.provenance.state import STATE_FILES, STATE_ID, StateSections
from pipeline.training.paths import HISTORY


def _table(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


def draw_network(
    observations: Observations, predictions: pd.DataFrame, test: Split, names: list[str]
) -> dict[str, Figure]:
    """Return the pictures of what the network sees, by their names."""
    margins, rivals = observations.margins, observations.rivals
    drawn = {
        "filters": network_figures.filters(observations.kernel),
        "attributions": example_figures.attributions(
            predictions, test.images, observations.attributions
        ),
        "typical_and_unsure": example_figures.typical_and_unsure(
            margins, rivals, test.labels, test.images, names
        ),
    }
    followed, colours = test.images[observations.followed], grey_colours(test.images)
    for place, number in enumerate(observations.followed):
        maps = {name: maps[place] for name, maps in observations.maps.items()}
        drawn[f"maps/image_{number:05}"] = network_figures.activation_maps(
            followed[place], predictions.iloc[number], maps, colours
        )
    return drawn


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
    epochs = files.read_text(history, _table)
    metrics = files.read_text(evaluation, json.loads)
    observed = read_observations(observations)
    split, names = splits.read_split(test), read_classes(classes)
    table = shorten_classes(files.read_text(predictions, parse_predictions), names)
    short = shorten_names(names)
    level = params.evaluate.confidence
    bins = calibration.bin_by_confidence(table, level)
    calibration_error = metrics["expected_calibration_error"]
    _write_figures(
        figures,
        {
            "loss": curves.loss_curves(epochs),
            "accuracy": curves.accuracy_curves(epochs),
            "confusion_matrix": error_figures.confusion_matrix(table, short),
            "confident_errors": error_figures.confident_errors(table, split.images),
            "reliability": curves.reliability_diagram(bins, calibration_error, level),
        },
    )
    _write_figures(pictures, draw_network(observed, table, split, short))
    files.write_text(state_id, state.identify(params, state_files) + "\n")


def _write_figures(folder: Path, drawn: Mapping[str, Figure]) -> None:
    """Write the figures into a folder, and remove those of another code or other params."""
    pngs = {folder / f"{name}.png": figure_style.to_png(figure) for name, figure in drawn.items()}
    for path in set(folder.rglob("*.png")) - set(pngs):
        path.unlink()
    for path, png in pngs.items():
        files.write_bytes(path, png)


if __name__ == "__main__":
    stage.run(main, check=load_params)
