"""The page that shows what the recorded runs of the experiments have reached."""

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from pipeline.core import files
from pipeline.core.errors import PipelineError
from pipeline.core.package import command
from pipeline.experiments.definitions import LESSON, Experiment
from pipeline.experiments.learning_curve import learning_curve
from pipeline.experiments.table import results_table
from pipeline.figures.figure_style import to_png
from pipeline.tracking.experiment_results import Result, find_results

PAGE = Path("docs/experiments.md")
FIGURE = Path("docs/images/learning-curve.png")
# The table stands between these lines.
TABLE = re.compile(r"(<!-- experiments -->\n)(?:.*\n)*?(<!-- end of experiments -->)")


def write_page(experiments: Mapping[str, Experiment]) -> None:
    """Write table and learning curve, from the latest complete run that each experiment has.

    Raises:
        PipelineError: no run is recorded, MLflow does not answer, or the page has no place for a
            table.
    """
    results = find_results({name: one.params for name, one in experiments.items()})
    if not results:
        raise PipelineError(
            f"MLflow: has no run of any experiment; `{command('experiments')}` runs them, "
            f"`{command('publish', '--all-commits')}` brings back those that were run before"
        )
    files.write_text(PAGE, fill_table(PAGE, experiments, results))
    points = curve_points(experiments, results)
    if not points.empty:
        level = experiments[LESSON].params.evaluate.confidence
        files.write_bytes(FIGURE, to_png(learning_curve(points, level)))
    print(f"{len(results)} of {len(experiments)} experiments have a run; see {PAGE}")


def fill_table(
    path: Path, experiments: Mapping[str, Experiment], results: Mapping[str, Result]
) -> str:
    """Return the text of a page with a new table.

    Raises:
        PipelineError: it has no place for a table.
    """
    table = results_table(experiments.values(), results)
    text, tables = TABLE.subn(
        lambda place: f"{place[1]}{table}\n{place[2]}", path.read_text(encoding="utf-8")
    )
    if not tables:
        raise PipelineError(
            f"{path}: has no place for a table: a line `<!-- experiments -->` "
            "and a line `<!-- end of experiments -->`"
        )
    return text


def curve_points(
    experiments: Mapping[str, Experiment], results: Mapping[str, Result]
) -> pd.DataFrame:
    """Return the runs that are points of the learning curve, as `learning_curve` wants them."""
    rows = [
        {
            "curve": one.learning_curve,
            "images": one.params.prepare.train_samples,
            "error": 1 - results[name].accuracy,
            "error_low": 1 - results[name].accuracy_high,
            "error_high": 1 - results[name].accuracy_low,
        }
        for name, one in experiments.items()
        if one.learning_curve and name in results and one.params.prepare.train_samples != "all"
    ]
    return pd.DataFrame(rows, columns=["curve", "images", "error", "error_low", "error_high"])
