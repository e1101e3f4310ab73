"""What is drawn is what was given, and the same values give the same bytes anywhere."""

import gzip
import io
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.metrics import confusion_matrix

from pipeline.evaluation import calibration
from pipeline.figures import curves, error_figures, example_figures
from pipeline.figures.figure_style import to_png
from pipeline.figures.picture_parts import shorten_classes, shorten_names
from pipeline.review import comparison_figures

ROOT = Path(__file__).parents[2]
RAW = ROOT / "data" / "raw" / "mnist"

Images = npt.NDArray[np.uint8]
DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def images() -> Images:
    raw = gzip.decompress((RAW / "t10k-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28, 1)


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    """10,000 predictions of which about 5% are wrong, some of them in all confidence."""
    random = np.random.default_rng(0)
    raw = gzip.decompress((RAW / "t10k-labels-idx1-ubyte.gz").read_bytes())
    label = np.frombuffer(raw, np.uint8, offset=8).astype(int)
    probability = (1 - 0.7 * random.beta(0.15, 2.0, len(label))).round(6)
    wrong = random.random(len(label)) > probability + 0.0005
    slip = np.where(wrong, random.choice([1, 2, 5, 7], len(label), p=[0.4, 0.1, 0.3, 0.2]), 0)
    return pd.DataFrame(
        {
            "image": np.arange(len(label)),
            "label": label.astype(str),
            "predicted": ((label + slip) % 10).astype(str),
            "probability": probability,
        }
    )


def history(epochs: int) -> pd.DataFrame:
    epoch = np.arange(1, epochs + 1)
    loss = 0.9 * np.exp(-epoch / 3)
    val_loss = 0.5 * np.exp(-epoch / 2) + 0.12 + 0.003 * epoch
    return pd.DataFrame(
        {
            "epoch": epoch,
            "loss": loss,
            "accuracy": 1 - loss / 4,
            "val_loss": val_loss,
            "val_accuracy": 1 - val_loss / 3,
        }
    )


def all_five(history: pd.DataFrame, predictions: pd.DataFrame, images: Images) -> list[Figure]:
    return [
        curves.loss_curves(history),
        curves.accuracy_curves(history),
        error_figures.confusion_matrix(predictions, DIGITS),
        error_figures.confident_errors(predictions, images),
        curves.reliability_diagram(calibration.bin_by_confidence(predictions, 0.95), 0.0123, 0.95),
    ]


def texts(figure: Figure) -> list[Text]:
    """All texts that show, after drawing: only then do ticks have their labels."""
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    return [text for text in found if isinstance(text, Text) and text.get_text()]


def points(line: Line2D) -> npt.NDArray[np.float64]:
    return np.asarray(line.get_xydata(), dtype=np.float64)


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in texts(figure))


Curves = Callable[[pd.DataFrame], Figure]
each_curve = pytest.mark.parametrize(
    ("draw", "measure"),
    [(curves.loss_curves, "loss"), (curves.accuracy_curves, "accuracy")],
)


@each_curve
def test_curves_show_the_history_and_ring_the_best_validation_epoch(
    draw: Curves, measure: str
) -> None:
    given = pd.DataFrame(
        {
            "epoch": [1, 2, 3, 4],
            "loss": [0.8, 0.5, 0.3, 0.2],
            "accuracy": [0.7, 0.8, 0.9, 0.95],
            "val_loss": [0.6, 0.41, 0.4, 0.45],
            "val_accuracy": [0.75, 0.91, 0.91, 0.9],
        }
    )
    best = {"loss": (3, 0.4), "accuracy": (2, 0.91)}[measure]
    figure = draw(given)
    (axes,) = figure.axes
    training, validation, ring = axes.lines
    assert_array_equal(points(training), given[["epoch", measure]])
    assert_array_equal(points(validation), given[["epoch", f"val_{measure}"]])
    assert_array_equal(points(ring), [best])
    assert f"epoch {best[0]}: {best[1]:.4f}" in words(figure)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Epoch", measure.capitalize())
    (legend,) = figure.legends
    entries = [
        (text.get_text(), handle.get_color())
        for text, handle in zip(legend.get_texts(), legend.get_lines(), strict=True)
    ]
    assert entries == [
        ("Training", training.get_color()),
        ("Validation", validation.get_color()),
        ("Best", ring.get_color()),
    ]
    assert training.get_color() != validation.get_color()


@each_curve
@pytest.mark.parametrize("epochs", [1, 2, 10, 25, 100])
def test_epochs_on_the_axis_are_whole_and_exist(draw: Curves, measure: str, epochs: int) -> None:
    figure = draw(history(epochs))
    (axes,) = figure.axes
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    labels = [
        label.get_text()
        for label, tick in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True)
        if tick in shown
    ]
    assert labels == [str(int(tick)) for tick in shown]
    assert set(shown) <= set(range(1, epochs + 1))
    assert len(shown) >= min(epochs, 5)
    assert measure.capitalize() in words(figure)


def test_accuracy_axis_ends_at_one_and_marks_there_are_whole() -> None:
    perfect = history(3).assign(accuracy=1.0, val_accuracy=1.0)
    (axes,) = curves.accuracy_curves(perfect).axes
    assert axes.get_ylim()[1] == 1
    assert not any(line.get_clip_on() for line in axes.lines)


def test_loss_axis_starts_at_zero() -> None:
    (axes,) = curves.loss_curves(history(10)).axes
    assert axes.get_ylim()[0] == 0


@pytest.mark.filterwarnings("error")
def test_curves_of_a_diverged_training_ring_the_best_epoch_there_was() -> None:
    diverged = history(4).astype(float)
    diverged.loc[2:, ["loss", "val_loss"]] = [[np.inf, np.inf], [np.nan, np.nan]]
    figure = curves.loss_curves(diverged.astype({"epoch": int}))
    assert_array_equal(figure.axes[0].lines[2].get_xdata(), [2])
    assert to_png(figure)

    never = curves.loss_curves(history(4).assign(loss=np.nan, val_loss=np.nan))
    assert points(never.axes[0].lines[2]).size == 0
    assert "Validation is" not in words(never)
    assert to_png(never)


@pytest.mark.parametrize("classes", [2, 10, 26])
def test_confusion_matrix_has_the_counts_of_scikit_learn(classes: int) -> None:
    random = np.random.default_rng(classes)
    label = random.integers(0, classes, 2000)
    predicted = np.where(random.random(2000) < 0.9, label, random.integers(0, classes, 2000))
    given = pd.DataFrame({"label": label, "predicted": predicted}).astype(str)
    figure = error_figures.confusion_matrix(given, [str(name) for name in range(classes)])
    (axes,) = figure.axes

    drawn = np.zeros((classes, classes), int)
    for text in axes.texts:
        column, row = text.get_position()
        drawn[int(row), int(column)] = int(text.get_text())
    expected = confusion_matrix(label, predicted, labels=range(classes))
    assert_array_equal(drawn, expected)
    assert len(axes.texts) == np.count_nonzero(expected)  # cells of 0 are left empty
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted class", "True class")
    assert axes.yaxis.get_inverted()
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == [str(digit) for digit in range(classes)]
    assert f"{(label != predicted).sum()} of 2,000 test images" in words(figure)


def test_confusion_matrix_colours_errors_alone(predictions: pd.DataFrame) -> None:
    (mesh,) = error_figures.confusion_matrix(predictions, DIGITS).axes[0].collections
    assert isinstance(mesh, QuadMesh)
    counts = confusion_matrix(predictions["label"], predictions["predicted"])
    coloured = np.ma.masked_array(mesh.get_array())
    assert_array_equal(coloured.mask, np.eye(10, dtype=bool))
    assert_array_equal(coloured.filled(0), counts - np.diag(np.diag(counts)))
    assert mesh.get_clim() == (0, coloured.max())


def test_confident_errors_come_surest_first_then_by_number(tmp_path: Path) -> None:
    np.save(
        tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (9, 28, 28, 1), "u1")
    )
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    given = pd.DataFrame(
        [
            (0, 4, 4, 0.999),
            (2, 4, 9, 0.75),
            (3, 7, 1, 0.75),
            (1, 8, 3, 0.75),
            (5, 6, 5, 0.9),
            (7, 2, 7, 0.99999),
            (8, 3, 3, 0.3),
            (6, 5, 3, 0.1236),
            (4, 0, 6, 0.3),
        ],
        columns=["image", "label", "predicted", "probability"],
    ).astype({"label": str, "predicted": str})
    figure = error_figures.confident_errors(given, images)
    (axes,) = figure.axes
    numbers = [7, 5, 1, 2, 3, 4, 6]
    for picture, number in zip(axes.images, numbers, strict=True):
        assert_array_equal(picture.get_array(), images[number, :, :, 0])
    places = [(picture.get_extent()[3], picture.get_extent()[0]) for picture in axes.images]
    assert places == sorted(places)  # reads line by line: the y axis points down
    assert axes.yaxis.get_inverted()
    assert [text.get_text() for text in axes.texts] == [
        *("2 → 7", "> 0.999\n#7"),
        *("6 → 5", "0.900\n#5"),
        *("8 → 3", "0.750\n#1"),
        *("4 → 9", "0.750\n#2"),
        *("7 → 1", "0.750\n#3"),
        *("0 → 6", "0.300\n#4"),
        *("5 → 3", "0.124\n#6"),
    ]
    for picture, above, below in zip(axes.images, axes.texts[::2], axes.texts[1::2], strict=True):
        left, right, bottom, top = picture.get_extent()
        assert above.get_position()[0] == below.get_position()[0] == (left + right) / 2
        assert above.get_position()[1] < top < bottom < below.get_position()[1]
    assert "7 of 7" in words(figure)


def test_confident_errors_stop_at_24(predictions: pd.DataFrame, images: Images) -> None:
    wrong = predictions[predictions["label"] != predictions["predicted"]]
    figure = error_figures.confident_errors(predictions, images)
    assert len(figure.axes[0].images) == 24
    assert f"24 of {len(wrong)}" in words(figure)
    least = float(figure.axes[0].texts[-1].get_text().split("\n")[0].removeprefix("> "))
    assert least == pytest.approx(wrong["probability"].nlargest(24).min(), abs=0.0006)


def test_no_errors_are_said_to_be_none(predictions: pd.DataFrame, images: Images) -> None:
    right = predictions[predictions["label"] == predictions["predicted"]].head(50)
    figure = error_figures.confident_errors(right, images)
    assert not figure.axes[0].images
    assert "No errors among 50 test images" in words(figure)
    assert "0 of 50 test images" in words(error_figures.confusion_matrix(right, DIGITS))


NAN = float("nan")


def bins(*rows: tuple[int, float, float, float, float]) -> pd.DataFrame:
    """What `calibration.bin_by_confidence` returns, with these rows."""
    columns = ["images", "confidence", "accuracy", "accuracy_low", "accuracy_high"]
    return pd.DataFrame(rows, columns=columns)


EMPTY_BIN = (0, NAN, NAN, NAN, NAN)
FIVE_BINS = bins(
    EMPTY_BIN,
    (2, 0.3, 0.5, 0.1, 0.9),
    EMPTY_BIN,
    (40, 0.7, 0.6, 0.45, 0.7),
    (1500, 0.95, 1.0, 0.99, 1.0),
)


@pytest.mark.filterwarnings("error")
def test_reliability_shows_the_accuracy_of_each_filled_bin_at_its_confidence() -> None:
    axes, _ = curves.reliability_diagram(FIVE_BINS, 0.01, 0.95).axes

    diagonal, observed = axes.lines
    assert_array_equal(points(diagonal), [[0, 0], [1, 1]])
    assert_array_equal(points(observed), [[0.3, 0.5], [0.7, 0.6], [0.95, 1.0]])
    assert not observed.get_clip_on()  # an accuracy of 1 lies on the border
    (intervals,) = axes.collections
    assert isinstance(intervals, LineCollection)
    assert_allclose(
        np.array(intervals.get_segments()),
        [[[0.3, 0.1], [0.3, 0.9]], [[0.7, 0.45], [0.7, 0.7]], [[0.95, 0.99], [0.95, 1.0]]],
    )
    assert axes.get_xlim() == axes.get_ylim() == (0, 1)
    assert axes.get_ylabel() == "Accuracy"


def test_reliability_shows_below_how_many_images_each_bin_holds() -> None:
    axes, below = curves.reliability_diagram(FIVE_BINS, 0.01, 0.95).axes

    bars = [patch for patch in below.patches if isinstance(patch, Rectangle)]
    assert [bar.get_height() for bar in bars] == [0, 2, 0, 40, 1500]
    assert_allclose([bar.get_x() for bar in bars], [0, 0.2, 0.4, 0.6, 0.8], atol=1e-12)
    assert_allclose([bar.get_width() for bar in bars], 0.2)
    assert [text.get_text() for text in below.texts] == ["", "2", "", "40", "1500"]
    assert axes.get_xlim() == below.get_xlim() == (0, 1)
    assert axes.get_position().x0 == below.get_position().x0
    assert axes.get_position().x1 == below.get_position().x1
    assert below.get_ylabel() == "Images"
    assert below.get_xlabel().startswith("Confidence")


def test_reliability_of_real_bins_has_their_counts(predictions: pd.DataFrame) -> None:
    drawn = curves.reliability_diagram(calibration.bin_by_confidence(predictions, 0.95), 0, 0.95)

    counts, _ = np.histogram(predictions["probability"], np.linspace(0, 1, 11))
    found = [patch.get_height() for patch in drawn.axes[1].patches if isinstance(patch, Rectangle)]
    assert found == counts.tolist()
    assert len(points(drawn.axes[0].lines[1])) == np.count_nonzero(counts)


@pytest.mark.parametrize(
    ("level", "percent"), [(0.95, "95%"), (0.9, "90%"), (0.999, "99.9%"), (0.29, "29%")]
)
def test_reliability_names_level_and_calibration_error(level: float, percent: str) -> None:
    figure = curves.reliability_diagram(FIVE_BINS, 0.01234, level)

    assert f"Observed, {percent} interval" in words(figure)
    assert "expected calibration error 0.0123" in words(figure)


@pytest.mark.filterwarnings("error")
def test_reliability_bears_intervals_that_end_a_rounding_error_before_the_accuracy() -> None:
    almost = bins((4, 0.3, 0.0, 1e-17, 0.6), (4, 0.95, 1.0, 0.4, 1 - 1e-16))

    figure = curves.reliability_diagram(almost, 0.01, 0.95)

    assert_array_equal(points(figure.axes[0].lines[1]), [[0.3, 0], [0.95, 1]])


@pytest.mark.filterwarnings("error")
def test_reliability_of_one_filled_bin_is_one_point() -> None:
    one = bins(*[EMPTY_BIN] * 9, (2, 0.97, 0.5, 0.1, 0.9))

    figure = curves.reliability_diagram(one, 0.47, 0.95)

    assert_array_equal(points(figure.axes[0].lines[1]), [[0.97, 0.5]])
    assert to_png(figure)


@pytest.mark.parametrize(("epochs", "samples"), [(10, 10_000), (1, 50)])
def test_texts_are_whole_legible_and_clear_of_the_data(
    predictions: pd.DataFrame, images: Images, epochs: int, samples: int
) -> None:
    for figure in all_five(history(epochs), predictions.head(samples), images):
        for text in texts(figure):
            assert float(text.get_fontsize()) >= 10, f"{text.get_text()!r} is small at half size"
        for legend in figure.legends:
            covered = [artist.get_window_extent() for artist in (*figure.texts, *figure.axes)]
            assert not legend.get_window_extent().count_overlaps(covered)
        pixels = decode(to_png(figure))
        pixels[6:-6, 6:-6] = 255
        assert pixels.min() == 255, "something reaches the border and may be cut off"


def decode(png: bytes) -> Images:
    """A PNG's pixels, (height, width), as grey values."""
    return np.array(Image.open(io.BytesIO(png)).convert("L"))


def test_pngs_are_small_and_without_text_or_time(predictions: pd.DataFrame, images: Images) -> None:
    for figure in all_five(history(10), predictions, images):
        png = to_png(figure)
        assert len(png) <= 80_000
        assert set(chunks(png)) == {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


def chunks(png: bytes) -> list[bytes]:
    """Types of a PNG's chunks: after 8 bytes of signature, length, type, data, checksum."""
    types, at = [], 8
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        types.append(kind)
        at += length + 12
    return types


SCRIPT = """
import hashlib, sys
import numpy as np, pandas as pd
from pipeline.evaluation import calibration
from pipeline.figures import curves, error_figures, example_figures, network_figures
from pipeline.figures.figure_style import to_png

random = np.random.default_rng(0)
label = random.integers(0, 10, 500)
predicted = np.where(random.random(500) < 0.9, label, random.integers(0, 10, 500))
predictions = pd.DataFrame({"image": range(500), "label": label, "predicted": predicted,
                            "probability": random.uniform(0.3, 1, 500)})
images = random.integers(0, 256, (500, 28, 28, 1), "u1")
history = pd.DataFrame(random.random((10, 4)),
                       columns=["loss", "accuracy", "val_loss", "val_accuracy"])
history["epoch"] = range(1, 11)
bins = calibration.bin_by_confidence(predictions, 0.9)
names = [str(digit) for digit in range(10)]
predictions = predictions.astype({"label": str, "predicted": str})
for figure in (curves.loss_curves(history), curves.accuracy_curves(history),
               error_figures.confusion_matrix(predictions, names),
               error_figures.confident_errors(predictions, images),
               curves.reliability_diagram(bins, 0.1, 0.9),
               network_figures.filters(random.normal(0, 1, (3, 3, 1, 32))),
               network_figures.activation_maps(images[0], predictions.iloc[0],
                                               {"conv1_1": images[:3, :, :, 0]}, "gray_r"),
               example_figures.attributions(predictions, images,
                                            random.normal(0, 1, (24, 2, 28, 28, 1))),
               example_figures.typical_and_unsure(random.normal(0, 9, 500), label, label,
                                                  images, names)):
    print(hashlib.sha256(to_png(figure)).hexdigest())
print(sorted({"matplotlib.pyplot", "tensorflow", "keras", "mlflow", "sklearn"} & set(sys.modules)))
"""

HOSTILE = """
font.family: serif
font.size: 31
text.usetex: True
figure.dpi: 33
figure.facecolor: black
figure.autolayout: True
savefig.dpi: 44
savefig.bbox: tight
savefig.transparent: True
axes.prop_cycle: cycler(color=["red", "red"])
axes.formatter.use_locale: True
axes.xmargin: 0.4
lines.linewidth: 9
path.sketch: 3, 100, 2
image.interpolation: bilinear
xtick.direction: in
legend.fontsize: 40
errorbar.capsize: 9
timezone: Asia/Tokyo
"""


def test_bytes_do_not_depend_on_the_users_settings(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text(HOSTILE)
    plain = {"PYTHONHASHSEED": "1", "TZ": "UTC"}
    hostile = {
        "PYTHONHASHSEED": "2",
        "TZ": "Asia/Tokyo",
        "LC_ALL": "C",
        "MPLBACKEND": "module://no.such.backend",
        "MATPLOTLIBRC": str(tmp_path),
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | settings,
            stdout=subprocess.PIPE,
            text=True,
        )
        for settings in (plain, hostile)
    ]
    one, other = [process.communicate(timeout=300)[0].splitlines() for process in started]
    assert len(set(one)) == 10
    assert one == other
    assert one[-1] == "[]", "slow to import, or global"


def test_settings_of_the_process_neither_matter_nor_change(predictions: pd.DataFrame) -> None:
    expected = to_png(error_figures.confusion_matrix(predictions, DIGITS))
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "figure.dpi": 50}):
        before = dict(matplotlib.rcParams)
        figure = error_figures.confusion_matrix(predictions, DIGITS)
        assert to_png(figure) == expected
        assert to_png(figure) == expected  # drawing twice leaves no trace
        assert dict(matplotlib.rcParams) == before


def test_font_is_the_one_that_matplotlib_brings() -> None:
    for text in texts(curves.loss_curves(history(3))):
        path = Path(matplotlib.font_manager.findfont(text.get_fontproperties()))
        brought = Path(matplotlib.get_data_path(), "fonts/ttf", path.name)
        assert path.read_bytes() == brought.read_bytes()  # the user's cache may name another copy
        assert path.stem.startswith("DejaVuSans")


def test_digits_stay_sharp_and_dark_on_white(images: Images) -> None:
    given = pd.DataFrame({"image": [7], "label": ["9"], "predicted": ["4"], "probability": [0.8]})
    figure = error_figures.confident_errors(given, images)
    png = decode(to_png(figure))
    assert png[0, 0] == 255
    (picture,) = figure.axes[0].images
    left, right, bottom, top = picture.get_extent()
    (x0, y0), (x1, y1) = figure.axes[0].transData.transform([(left, bottom), (right, top)]).round()
    height = len(png)
    drawn = png[height - int(y1) : height - int(y0), int(x0) : int(x1)]
    expected = 255 - images[7, :, :, 0].repeat(4, axis=0).repeat(4, axis=1)
    assert_allclose(drawn.astype(int), expected, atol=4)


def pairs(*rows: tuple[str, str]) -> pd.DataFrame:
    """One image for each pair of a true and a predicted class, less and less sure."""
    given = pd.DataFrame(rows, columns=["label", "predicted"])
    return given.assign(image=range(len(rows)), probability=np.linspace(0.9, 0.5, len(rows)))


@pytest.mark.filterwarnings("error")
def test_long_names_are_shortened_and_slanted() -> None:
    names = shorten_names([f"a rather long name of {letter}" for letter in "abcdefghij"])
    figure = error_figures.confusion_matrix(pairs((names[0], names[9])), names)
    (axes,) = figure.axes
    shown = [tick.get_text() for tick in axes.get_xticklabels()]
    assert shown == [f"a rathe…of {letter}" for letter in "abcdefghij"]
    assert {tick.get_rotation() for tick in axes.get_xticklabels()} == {45}
    width, height = figure.get_size_inches() * figure.dpi
    for text in texts(figure):
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= width
        assert box.y0 >= 0
        assert box.y1 <= height


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["$x$", "a\u0301", "日本", "\U0001f600", "%s {0} \\n"])
def test_any_name_can_be_drawn(name: str, images: Images) -> None:
    given = shorten_classes(pairs((name, "b"), ("b", name)), [name, "b"])
    for figure in (
        error_figures.confusion_matrix(given, shorten_names([name, "b"])),
        error_figures.confident_errors(given, images),
    ):
        assert to_png(figure)


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (DIGITS, DIGITS),
        (["T-shirt/top", "Ankle boot", "été"], ["T-shirt/top", "Ankle boot", "été"]),
        (
            ["German Shepherd dog", "Pug", "German Spaniel dog"],
            ["#0 Germa…dog", "Pug", "#2 Germa…dog"],
        ),
        (["猫", "犬", "?!"], ["#0 ?", "#1 ?", "?!"]),
        (["#1 ?", "猫", "犬"], ["#0 #1 ?", "#1 ?", "#2 ?"]),
    ],
)
def test_short_names_of_different_classes_are_different(names: list[str], short: list[str]) -> None:
    assert shorten_names(names) == short
    given = shorten_classes(pairs((names[0], names[2]), (names[1], names[0])), names)
    assert_array_equal(given["label"], [short[0], short[1]])
    assert_array_equal(given["predicted"], [short[2], short[0]])


def test_dollars_are_no_formula(images: Images) -> None:
    figure = error_figures.confident_errors(pairs(("$x$", "$y$")), images)
    assert not any(text.get_parse_math() for text in figure.axes[0].texts)


def test_many_classes_are_cut_down_to_those_with_most_errors() -> None:
    names = [f"{label:03}" for label in range(260)]
    wrong = [(names[label], names[label + 100]) for label in range(100, 110) for _ in range(5)]
    few = [(names[label], names[label + 1]) for label in range(0, 20, 2)]
    figure = error_figures.confusion_matrix(pairs(*wrong, *few), names)
    (axes,) = figure.axes
    expected = [*names[100:110], *names[200:210]]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == expected
    assert [text.get_text() for text in axes.texts] == ["5"] * 10
    assert "60 of 60 test images; the 20 of 260 classes with most errors" in words(figure)


def test_colour_images_keep_their_colours_and_proportions() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 20, 40, 3), "u1")
    figure = error_figures.confident_errors(pairs(("a", "b"), ("b", "a")), images)
    first, second = figure.axes[0].images
    assert_array_equal(first.get_array(), images[0])
    assert_array_equal(second.get_array(), images[1])
    left, right, bottom, top = first.get_extent()
    assert right - left == pytest.approx(2 * (bottom - top))


def test_every_colour_of_colour_images_is_in_the_file() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 3), "u1")
    errors = pairs(("a", "b"), ("b", "a"))
    for figure in (
        error_figures.confident_errors(errors, images),
        comparison_figures.changed_images(errors.head(1), errors.tail(1), images),
    ):
        shown = np.array(Image.open(io.BytesIO(to_png(figure))))
        assert {*map(tuple, images.reshape(-1, 3))} <= {*map(tuple, shown.reshape(-1, 3))}


def test_drawings_look_like_ink_and_photographs_like_photographs() -> None:
    drawing = np.zeros((1, 8, 8, 1), np.uint8)
    drawing[0, 4] = 255
    photograph = np.full((1, 8, 8, 1), 120, np.uint8)
    for images, colours in ((drawing, "gray_r"), (photograph, "gray")):
        (axes,) = error_figures.confident_errors(pairs(("a", "b")), images).axes
        assert axes.images[0].get_cmap().name == colours


def test_first_1000_images_decide_how_all_figures_show_the_grey_ones() -> None:
    images = np.zeros((1002, 8, 8, 1), np.uint8)  # drawings
    images[1000:] = 120  # all that is shown looks like photographs
    errors = pairs(("a", "b"), ("b", "a")).assign(image=[1000, 1001])
    for figure in (
        error_figures.confident_errors(errors, images),
        comparison_figures.changed_images(errors.head(1), errors.tail(1), images),
    ):
        assert {picture.get_cmap().name for picture in figure.axes[0].images} == {"gray_r"}
    figure = example_figures.attributions(errors, images, np.zeros((2, 2, 8, 8, 1), np.float32))
    assert (np.asarray(figure.images[0].get_array())[2:-2, 2:-2] == 255 - 120).all()
    labels = np.arange(1002) % 2
    margins = np.where(np.arange(1002) < 1000, 1, np.array([[2], [0.5]])).astype(np.float32)
    for one in margins:  # the most typical images, and the least sure ones
        drawn = example_figures.typical_and_unsure(one, 1 - labels, labels, images, ["a", "b"])
        found = {int(np.asarray(picture.get_array())[42, 42, 0]) for picture in drawn.images}
        assert found == {255, 255 - 120}
