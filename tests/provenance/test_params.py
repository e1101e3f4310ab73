"""Tests of the schema of `params.yaml`, and of what it says about files that it refuses."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml
from pydantic import ValidationError

from pipeline.core.errors import ParamsError
from pipeline.core.params import flatten
from pipeline.provenance.params import load_params

ROOT = Path(__file__).parents[2]
COMMITTED = (ROOT / "params.yaml").read_text(encoding="utf-8")

LESSON = {
    "prepare.dataset": "mnist",
    "prepare.image_size": None,
    "prepare.train_samples": 2000,
    "prepare.val_samples": 500,
    "prepare.val_from": "train",
    "prepare.test_samples": 10000,
    "model.conv_blocks": [[32, 64, 128]],
    "model.kernel_size": 3,
    "model.dense_units": [128],
    "model.dropout": 0.0,
    "model.batch_norm": False,
    "augmentation.rotation": 0.0,
    "augmentation.shift": 0.0,
    "augmentation.zoom": 0.0,
    "train.epochs": 10,
    "train.batch_size": 64,
    "train.optimizer": "adam",
    "train.learning_rate": 0.001,
    "train.learning_rate_schedule": "constant",
    "train.label_smoothing": 0.0,
    "train.early_stopping_patience": None,
    "train.seed": 0,
    "train.threads": 2,
    "train.workers": 1,
    "evaluate.images": None,
    "evaluate.confidence": 0.95,
}


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # so that messages say "params.yaml", without a folder


def write(text: str | bytes) -> None:
    content = text.encode() if isinstance(text, str) else text
    Path("params.yaml").write_bytes(content)


def edit(*lines: str) -> str:
    """Return the committed file with each `key: value` of these instead of the key's own."""
    text = COMMITTED
    for line in lines:
        key = line.partition(":")[0]
        line = line.replace("\\", r"\\")
        text = replace(rf"(?m)^( *){key}:.*$", rf"\g<1>{line}", text)
    return text


def replace(pattern: str, new: str, text: str = COMMITTED) -> str:
    """Replace the only place where the text has this pattern."""
    changed, count = re.subn(pattern, new, text)
    assert count == 1
    return changed


def faults() -> list[str]:
    with pytest.raises(ParamsError) as caught:
        load_params()
    return str(caught.value).split("\n")


def test_committed_file_has_the_values_of_the_lesson() -> None:
    params = load_params(ROOT / "params.yaml")
    assert flatten(params) == LESSON
    assert list(flatten(params)) == list(LESSON)


def test_every_value_is_the_one_that_dvc_reads() -> None:
    write(edit("learning_rate: 1e-3", "seed: 0o17"))
    for path in (ROOT / "params.yaml", Path("params.yaml")):
        dvc = load_yaml(path)
        assert load_params(path).model_dump() == dvc


def test_params_cannot_be_changed() -> None:
    params = load_params(ROOT / "params.yaml")
    with pytest.raises(ValidationError, match="frozen"):
        params.train.epochs = 3


@pytest.mark.parametrize(
    ("line", "place", "value"),
    [
        ("dataset: Fashion-MNIST_2", "prepare.dataset", "Fashion-MNIST_2"),
        ("dataset: '0'", "prepare.dataset", "0"),
        ("image_size:", "prepare.image_size", None),
        ("image_size: [32, 48]", "prepare.image_size", [32, 48]),
        ("train_samples: 1", "prepare.train_samples", 1),
        ("train_samples: 1_000", "prepare.train_samples", 1000),
        ("val_from: test", "prepare.val_from", "test"),
        ("conv_blocks: []", "model.conv_blocks", []),
        ("conv_blocks: [[1], [2, 3]]", "model.conv_blocks", [[1], [2, 3]]),
        ("conv_blocks: [&a [8, 8], *a]", "model.conv_blocks", [[8, 8], [8, 8]]),
        ("kernel_size: 1", "model.kernel_size", 1),
        ("dense_units: []", "model.dense_units", []),
        ("dropout: 0", "model.dropout", 0.0),
        ("dropout: 0.999", "model.dropout", 0.999),
        ("batch_norm: true", "model.batch_norm", True),
        ("rotation: 180", "augmentation.rotation", 180.0),
        ("shift: 0.1", "augmentation.shift", 0.1),
        ("zoom: 0.999", "augmentation.zoom", 0.999),
        ("label_smoothing: 0.1", "train.label_smoothing", 0.1),
        ("optimizer: sgd", "train.optimizer", "sgd"),
        ("optimizer: rmsprop", "train.optimizer", "rmsprop"),
        ("optimizer: adamw", "train.optimizer", "adamw"),
        ("learning_rate: 1e-3", "train.learning_rate", 0.001),
        ("learning_rate: 1", "train.learning_rate", 1.0),
        ("learning_rate_schedule: cosine", "train.learning_rate_schedule", "cosine"),
        ("early_stopping_patience:", "train.early_stopping_patience", None),
        ("early_stopping_patience: 1", "train.early_stopping_patience", 1),
        ("seed: 4294967295", "train.seed", 4294967295),
        ("threads: 1024", "train.threads", 1024),
        ("workers: 64", "train.workers", 64),
        ("confidence: 1e-9", "evaluate.confidence", 1e-9),
        ("images: [7, 0]", "evaluate.images", [7, 0]),
    ],
)
def test_good_value_is_taken_as_it_is(line: str, place: str, value: object) -> None:
    write(edit(line))
    values = flatten(load_params())
    assert values == {**LESSON, place: value}
    assert type(values[place]) is type(value)


NOT_A_FOLDER = "must be a folder's name of letters, digits, - and _"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("dataset: ../mnist", f"prepare.dataset: {NOT_A_FOLDER}, got '../mnist'"),
        ("dataset: .mnist", f"prepare.dataset: {NOT_A_FOLDER}, got '.mnist'"),
        ("dataset: /mnist", f"prepare.dataset: {NOT_A_FOLDER}, got '/mnist'"),
        ("dataset: ''", f"prepare.dataset: {NOT_A_FOLDER}, got ''"),
        (r'dataset: "mnist\n"', rf"prepare.dataset: {NOT_A_FOLDER}, got 'mnist\n'"),
        ("dataset: ziffern_größer", f"prepare.dataset: {NOT_A_FOLDER}, got 'ziffern_größer'"),
        ("dataset: 0", "prepare.dataset: must be text, got 0"),
        ("dataset:", "prepare.dataset: must be text, got null"),
        ("train_samples: 0", "prepare.train_samples: must be at least 1, got 0"),
        ("val_samples: -1", "prepare.val_samples: must be at least 1, got -1"),
        ("test_samples: 0", "prepare.test_samples: must be at least 1, got 0"),
        (
            "test_samples: 2147483648",
            "prepare.test_samples: must be at most 2147483647, got 2147483648",
        ),
        ("val_from: val", "prepare.val_from: must be one of train, test, got 'val'"),
        ("conv_blocks: 32", "model.conv_blocks: must be a list, got 32"),
        ("conv_blocks:", "model.conv_blocks: must be a list, got null"),
        ("conv_blocks: [[]]", "model.conv_blocks[0]: must have at least 1 entry, got []"),
        ("conv_blocks: [[8], []]", "model.conv_blocks[1]: must have at least 1 entry, got []"),
        ("conv_blocks: [[8, x]]", "model.conv_blocks[0][1]: must be a whole number, got 'x'"),
        ("conv_blocks: [[8], [0]]", "model.conv_blocks[1][0]: must be at least 1, got 0"),
        (
            "conv_blocks: &a [[8, *a]]",
            "model.conv_blocks[0][1]: must be a whole number, got [[8, [[8, [[8, [...]]]]]]]",
        ),
        ("image_size: 32", "prepare.image_size: must be a list or null, got 32"),
        ("image_size: [32]", "prepare.image_size: must have at least 2 entries or null, got [32]"),
        (
            "image_size: [1, 2, 3]",
            "prepare.image_size: must have at most 2 entries or null, got [1, 2, 3]",
        ),
        ("image_size: [32, 0]", "prepare.image_size[1]: must be at least 1, got 0"),
        ("image_size: [32, 4097]", "prepare.image_size[1]: must be at most 4096, got 4097"),
        (
            "image_size: [6, 40]",
            "model.conv_blocks: layer 3 of block 1 leaves nothing of images of 6x40 pixels; "
            "use fewer layers or a smaller kernel_size",
        ),
        ("rotation: -1", "augmentation.rotation: must be at least 0, got -1"),
        ("rotation: 181", "augmentation.rotation: must be at most 180, got 181"),
        ("shift: 1", "augmentation.shift: must be less than 1, got 1"),
        ("zoom: a", "augmentation.zoom: must be a number, got 'a'"),
        ("label_smoothing: 1", "train.label_smoothing: must be less than 1, got 1"),
        ("images: []", "evaluate.images: must have at least 1 entry or null, got []"),
        ("images: [-1]", "evaluate.images[0]: must be at least 0, got -1"),
        ("images: [1, 2, 1]", "evaluate.images: must not name an image twice, got [1, 2, 1]"),
        (
            "images: [9999, 10000]",
            "evaluate.images: there is no test image 10,000; with 10,000 test images, the last is "
            "9,999",
        ),
        ("kernel_size: 0", "model.kernel_size: must be at least 1, got 0"),
        ("kernel_size: 3.0", "model.kernel_size: must be a whole number, got 3.0"),
        ("kernel_size: [3, 3]", "model.kernel_size: must be a whole number, got [3, 3]"),
        ("dense_units: 128", "model.dense_units: must be a list, got 128"),
        ("dense_units: [128, 0]", "model.dense_units[1]: must be at least 1, got 0"),
        ("dense_units: [128, null]", "model.dense_units[1]: must be a whole number, got null"),
        ("dropout: 1", "model.dropout: must be less than 1, got 1"),
        ("dropout: -0.1", "model.dropout: must be at least 0, got -0.1"),
        ("dropout: .nan", "model.dropout: must be a finite number, got nan"),
        ("dropout: false", "model.dropout: must be a number, got false"),
        ("dropout: '0.5'", "model.dropout: must be a number, got '0.5'"),
        ("batch_norm: yes", "model.batch_norm: must be true or false, got 'yes'"),
        ("batch_norm: 1", "model.batch_norm: must be true or false, got 1"),
        ("batch_norm:", "model.batch_norm: must be true or false, got null"),
        ("epochs: 0", "train.epochs: must be at least 1, got 0"),
        ("epochs: ten", "train.epochs: must be a whole number, got 'ten'"),
        ("epochs: 1.5", "train.epochs: must be a whole number, got 1.5"),
        ("epochs: 1e1", "train.epochs: must be a whole number, got 10.0"),
        ("epochs: true", "train.epochs: must be a whole number, got true"),
        ("epochs:", "train.epochs: must be a whole number, got null"),
        ("epochs: {max: 3}", "train.epochs: must be a whole number, got {'max': 3}"),
        ("batch_size: 0", "train.batch_size: must be at least 1, got 0"),
        (
            "optimizer: adagrad",
            "train.optimizer: must be one of adam, sgd, rmsprop, adamw, got 'adagrad'",
        ),
        (
            "optimizer: Adam",
            "train.optimizer: must be one of adam, sgd, rmsprop, adamw, got 'Adam'",
        ),
        (
            "optimizer: [adam]",
            "train.optimizer: must be one of adam, sgd, rmsprop, adamw, got ['adam']",
        ),
        ("learning_rate: 0", "train.learning_rate: must be more than 0, got 0"),
        ("learning_rate: 1e-400", "train.learning_rate: must be more than 0, got 0.0"),
        ("learning_rate: .inf", "train.learning_rate: must be a finite number, got inf"),
        ("learning_rate: true", "train.learning_rate: must be a number, got true"),
        (
            "learning_rate_schedule: linear",
            "train.learning_rate_schedule: must be one of constant, cosine, got 'linear'",
        ),
        (
            "learning_rate_schedule: null",
            "train.learning_rate_schedule: must be one of constant, cosine, got null",
        ),
        (
            "early_stopping_patience: 0",
            "train.early_stopping_patience: must be at least 1 or null, got 0",
        ),
        (
            "early_stopping_patience: none",
            "train.early_stopping_patience: must be a whole number or null, got 'none'",
        ),
        ("seed: -1", "train.seed: must be at least 0, got -1"),
        ("seed: 4294967296", "train.seed: must be at most 4294967295, got 4294967296"),
        (f"seed: 0x{'f' * 5000}", "train.seed: must be at most 4294967295, got a huge number"),
        ("threads: 0", "train.threads: must be at least 1, got 0"),
        ("threads: 1025", "train.threads: must be at most 1024, got 1025"),
        ("workers: 0", "train.workers: must be at least 1, got 0"),
        ("workers: 65", "train.batch_size: must be at least train.workers, 65, got 64"),
        ("confidence: 0", "evaluate.confidence: must be more than 0, got 0"),
        ("confidence: 1.0", "evaluate.confidence: must be less than 1, got 1.0"),
        ("confidence: 95%", "evaluate.confidence: must be a number, got '95%'"),
    ],
    ids=lambda value: value[:40],
)
def test_bad_value_gets_one_line(line: str, fault: str) -> None:
    write(edit(line))
    assert faults() == [f"params.yaml: {fault}"]


@pytest.mark.parametrize(
    ("pattern", "new", "fault"),
    [
        (r"  epochs: 10\n", "", ["train.epochs: is missing"]),
        ("dataset: mnist", "", ["prepare.dataset: is missing"]),
        ("early_stopping_patience: null", "", ["train.early_stopping_patience: is missing"]),
        (r"evaluate:\n.*\n.*\n", "", ["evaluate: is missing"]),
        ("0.95", "0.95\nreview: {}", ["review: is not a known parameter"]),
        ("0.95", "0.95\nlr: 0.1", ["lr: is not a known parameter"]),
        ("0.95", "0.95\nextra: 1", ["extra: is not a known parameter"]),
        (
            "epochs: 10",
            "epoch: 10",
            [
                "train.epochs: is missing",
                "train.epoch: is not a known parameter; did you mean train.epochs?",
            ],
        ),
        (
            "train:",
            "trian:",
            ["train: is missing", "trian: is not a known parameter; did you mean train?"],
        ),
        (
            "seed: 0",
            "seed: 0\n  batch-size: 32",
            ["train.batch-size: is not a known parameter; did you mean train.batch_size?"],
        ),
        (
            "kernel_size: 3",
            "kernel_size: 3\n  epochs: 3",
            ["model.epochs: is not a known parameter; did you mean train.epochs?"],
        ),
        (
            "0.95",
            "0.95\ntrain.epochs: 3",
            ["'train.epochs': is not a known parameter; did you mean train.epochs?"],
        ),
        ("seed: 0", r'seed: 0\n  "a\\nb": 1', [r"train.'a\nb': is not a known parameter"]),
        ("seed: 0", "seed: 0\n  7: 1", ["train.7: is not a known parameter"]),
        (r"images: null\n  confidence: 0.95", "", ["evaluate: must be a mapping, got null"]),
        (
            r"\n  images: null\n  confidence: 0.95",
            " [0.95]",
            ["evaluate: must be a mapping, got [0.95]"],
        ),
        (
            r"\n  images: null\n  confidence: 0.95",
            " 0.95",
            ["evaluate: must be a mapping, got 0.95"],
        ),
    ],
)
def test_keys_that_are_missing_or_not_known(pattern: str, new: str, fault: list[str]) -> None:
    write(replace(pattern, new))
    assert faults() == [f"params.yaml: {line}" for line in fault]


LONG_NUMBER = (
    "cannot be read: Exceeds the limit (4300 digits) for integer string conversion: "
    "value has 5001 digits; use sys.set_int_max_str_digits() to increase the limit"
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"null\n", "is empty"),
        (b"- 1\n", "must be a mapping of sections"),
        (b"[]\n", "must be a mapping of sections"),  # for DVC's reader, an empty mapping
        (b"train\n", "must be a mapping of sections"),
        (
            b"train: \xff\n",
            "cannot be read: 'utf-8' codec can't decode byte 0xff in position 7: "
            "invalid start byte",
        ),
        (b"a: 1\nb: \x01\n", "line 2: character 0x01 is not allowed"),
        (b"a: 1\nb:\n\tc: 2\n", r"line 3: found character '\t' that cannot start any token"),
        (b"a: 1\nb: 2: 3\n", "line 2: mapping values are not allowed here"),
        (
            b"a: 1\nb: [1,\nc: 2\n",
            "line 4: while parsing a flow sequence that starts in line 2, "
            "expected ',' or ']', but got '<stream end>'",
        ),
        (
            b"a:\n  b: 1\n  b: 2\n",
            "line 3: while constructing a mapping that starts in line 2, "
            'found duplicate key "b" with value "2" (original value: "1")',
        ),
        (
            b'a: 1\na: "2\\n3"\n',
            "line 2: while constructing a mapping that starts in line 1, "
            'found duplicate key "a" with value "2 3" (original value: "1")',
        ),
        (b"a: 1\nb: *c\n", "line 2: found undefined alias 'c'"),
        (b"a: !b 1\n", "line 1: could not determine a constructor for the tag '!b'"),
        (
            b"a: !!python/name:os.system\n",
            "line 1: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/name:os.system'",
        ),
        (
            b"a: 1\n---\nb: 2\n",
            "line 2: expected a single document in the stream that starts in line 1, "
            "but found another document",
        ),
        (b"a: 2020-13-45\n", "cannot be read: month must be in 1..12"),
        (b"a: !!bool b\n", "cannot be read: 'b'"),
        (b"a: 0" + b"9" * 5000, LONG_NUMBER),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_file_that_is_not_a_mapping_gets_one_line(text: bytes, fault: str) -> None:
    write(text)
    assert faults() == [f"params.yaml: {fault}"]


def test_file_that_is_nested_too_deeply_gets_one_line() -> None:
    write("[" * 10_000)
    (line,) = faults()
    assert line.startswith("params.yaml: cannot be read: maximum recursion depth exceeded")


def test_missing_file_gets_one_line() -> None:
    assert faults() == ["params.yaml: cannot be read: No such file or directory"]


def test_folder_instead_of_a_file_gets_one_line() -> None:
    Path("params.yaml").mkdir()
    assert faults() == ["params.yaml: cannot be read: Is a directory"]


def test_duplicate_key_in_the_committed_file_is_an_error() -> None:
    write(replace("epochs: 10", "epochs: 10\n  epochs: 20"))
    assert faults() == [
        "params.yaml: line 23: while constructing a mapping that starts in line 22, "
        'found duplicate key "epochs" with value "20" (original value: "10")'
    ]


def test_message_names_the_file_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(edit("epochs: 0"), encoding="utf-8")
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    assert str(caught.value) == f"{path}: train.epochs: must be at least 1, got 0"
    assert caught.value.exit_code == 2
    assert caught.value.__suppress_context__


def test_all_faults_are_reported_in_the_order_of_the_file() -> None:
    text = edit(
        "dataset: a/b",
        "conv_blocks: [8, [x], []]",
        "dropout: 2",
        "epochs: 0",
        "optimizer: lion",
        "threads: two",
        "confidence: 1",
    )
    write(replace(r"  seed: 0\n", "", text) + "extra: 1\n")
    assert faults() == [
        f"params.yaml: prepare.dataset: {NOT_A_FOLDER}, got 'a/b'",
        "params.yaml: model.conv_blocks[0]: must be a list, got 8",
        "params.yaml: model.conv_blocks[1][0]: must be a whole number, got 'x'",
        "params.yaml: model.conv_blocks[2]: must have at least 1 entry, got []",
        "params.yaml: model.dropout: must be less than 1, got 2",
        "params.yaml: train.epochs: must be at least 1, got 0",
        "params.yaml: train.optimizer: must be one of adam, sgd, rmsprop, adamw, got 'lion'",
        "params.yaml: train.seed: is missing",
        "params.yaml: train.threads: must be a whole number, got 'two'",
        "params.yaml: evaluate.confidence: must be less than 1, got 1",
        "params.yaml: extra: is not a known parameter",
    ]


def test_flatten_gives_lists_that_do_not_change_the_params() -> None:
    params = load_params(ROOT / "params.yaml")
    flatten(params)["model.conv_blocks"].append([1])
    assert params.model.conv_blocks == [[32, 64, 128]]


def test_import_is_light() -> None:
    code = "import sys, pipeline.provenance.params; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "pipeline.provenance.params" in loaded
    assert not loaded & {"dvc", "keras", "matplotlib", "mlflow", "numpy", "pandas", "tensorflow"}
