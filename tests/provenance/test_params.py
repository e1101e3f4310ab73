"""Tests of the schema of `params.yaml`, and of what it says about files that it refuses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from dvc.utils.serialize import load_yaml
from pydantic import ValidationError
from ruamel.yaml import YAML

from pipeline.core.errors import ParamsError
from pipeline.core.params import flatten
from pipeline.provenance.params import load_params
from pipeline.provenance.state import NEUTRAL
from pipeline.training.params import TrainParams
from tests.conftest import FROZEN, ROOT, edit_params

LESSON_FILE = FROZEN["params.yaml"]
OPTIMIZERS = ", ".join(get_args(TrainParams.model_fields["optimizer"].annotation))

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
    **NEUTRAL,
}


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # so that messages say "params.yaml", without a folder


def write(text: str | bytes) -> None:
    content = text.encode() if isinstance(text, str) else text
    Path("params.yaml").write_bytes(content)


def lesson(*lines: str, without: str = "") -> str:
    """Return the lesson's params in YAML, with other values, such as `train.seed: 0o17`."""
    texts = {name: json.dumps(value) for name, value in LESSON.items() if name != without}
    texts |= {name: text for name, _, text in (line.partition(":") for line in lines)}
    assert len(texts) == len(LESSON) - bool(without)
    sections: dict[str, str] = {}
    for name, text in texts.items():
        section, _, key = name.partition(".")
        sections[section] = sections.get(section, f"{section}:\n") + f"  {key}: {text}\n"
    return "".join(sections.values())


def faults() -> list[str]:
    with pytest.raises(ParamsError) as caught:
        load_params()
    return str(caught.value).split("\n")


def test_values_are_those_of_the_file() -> None:
    assert flatten(load_params(LESSON_FILE)) == LESSON


def test_every_value_is_the_one_that_dvc_reads() -> None:
    write(lesson("train.learning_rate: 1e-3", "train.seed: 0o17"))
    for path in (LESSON_FILE, Path("params.yaml")):
        dvc = load_yaml(path)
        assert load_params(path).model_dump() == dvc


def test_params_cannot_be_changed() -> None:
    params = load_params(LESSON_FILE)
    with pytest.raises(ValidationError, match="frozen"):
        params.train.epochs = 3


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("prepare.dataset: Fashion-MNIST_2", "Fashion-MNIST_2"),
        ("prepare.dataset: '0'", "0"),
        ("prepare.image_size:", None),
        ("prepare.image_size: [32, 48]", [32, 48]),
        ("prepare.train_samples: 1", 1),
        ("prepare.train_samples: all", "all"),
        ("prepare.val_samples: all", "all"),
        ("prepare.test_samples: all", "all"),
        ("prepare.test_fraction: 0.2", 0.2),
        ("prepare.train_samples: 1_000", 1000),
        ("prepare.val_from: test", "test"),
        ("model.conv_blocks: []", []),
        ("model.conv_blocks: [[1], [2, 3]]", [[1], [2, 3]]),
        ("model.conv_blocks: [&a [8, 8], *a]", [[8, 8], [8, 8]]),
        ("model.kernel_size: 1", 1),
        ("model.dense_units: []", []),
        ("model.dropout: 0", 0.0),
        ("model.dropout: 0.999", 0.999),
        ("model.batch_norm: true", True),
        ("model.batch_norm_momentum: 0.99", 0.99),
        ("model.residual: true", True),
        ("augmentation.rotation: 180", 180.0),
        ("augmentation.shift: 0.1", 0.1),
        ("augmentation.zoom: 0.999", 0.999),
        ("train.label_smoothing: 0.1", 0.1),
        ("train.optimizer: sgd", "sgd"),
        ("train.optimizer: rmsprop", "rmsprop"),
        ("train.optimizer: adamw", "adamw"),
        ("train.learning_rate: 1e-3", 0.001),
        ("train.learning_rate: 1", 1.0),
        ("train.learning_rate_schedule: cosine", "cosine"),
        ("train.weight_decay: 0", 0.0),
        ("train.early_stopping_patience:", None),
        ("train.early_stopping_patience: 1", 1),
        ("train.seed: 4294967295", 4294967295),
        ("train.threads: 1024", 1024),
        ("train.workers: 64", 64),
        ("train.precision: mixed_bfloat16", "mixed_bfloat16"),
        ("evaluate.confidence: 1e-9", 1e-9),
        ("evaluate.images: [7, 0]", [7, 0]),
    ],
)
def test_good_value_is_taken_as_it_is(line: str, value: object) -> None:
    name, _, _ = line.partition(":")
    write(lesson(line))
    values = flatten(load_params())
    assert values == {**LESSON, name: value}
    assert type(values[name]) is type(value)


NOT_A_FOLDER = "must be a folder's name of letters, digits, - and _"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("prepare.dataset: ../mnist", f"prepare.dataset: {NOT_A_FOLDER}, got '../mnist'"),
        ("prepare.dataset: .mnist", f"prepare.dataset: {NOT_A_FOLDER}, got '.mnist'"),
        ("prepare.dataset: /mnist", f"prepare.dataset: {NOT_A_FOLDER}, got '/mnist'"),
        ("prepare.dataset: ''", f"prepare.dataset: {NOT_A_FOLDER}, got ''"),
        (r'prepare.dataset: "mnist\n"', rf"prepare.dataset: {NOT_A_FOLDER}, got 'mnist\n'"),
        (
            "prepare.dataset: ziffern_größer",
            f"prepare.dataset: {NOT_A_FOLDER}, got 'ziffern_größer'",
        ),
        ("prepare.dataset: 0", "prepare.dataset: must be text, got 0"),
        ("prepare.dataset:", "prepare.dataset: must be text, got null"),
        ("prepare.train_samples: 0", "prepare.train_samples: must be at least 1, got 0"),
        (
            "prepare.train_samples: most",
            "prepare.train_samples: must be a whole number or all, got 'most'",
        ),
        (
            "prepare.test_fraction: 1.0",
            "prepare.test_fraction: must be less than 1 or null, got 1.0",
        ),
        ("prepare.val_samples: -1", "prepare.val_samples: must be at least 1, got -1"),
        ("prepare.test_samples: 0", "prepare.test_samples: must be at least 1, got 0"),
        (
            "prepare.test_samples: 2147483648",
            "prepare.test_samples: must be at most 2,147,483,647, got 2147483648",
        ),
        ("prepare.val_from: val", "prepare.val_from: must be one of train, test, got 'val'"),
        ("model.conv_blocks: 32", "model.conv_blocks: must be a list, got 32"),
        ("model.conv_blocks:", "model.conv_blocks: must be a list, got null"),
        ("model.conv_blocks: [[]]", "model.conv_blocks[0]: must have at least 1 entry, got []"),
        (
            "model.conv_blocks: [[8], []]",
            "model.conv_blocks[1]: must have at least 1 entry, got []",
        ),
        ("model.conv_blocks: [[8, x]]", "model.conv_blocks[0][1]: must be a whole number, got 'x'"),
        ("model.conv_blocks: [[8], [0]]", "model.conv_blocks[1][0]: must be at least 1, got 0"),
        (
            "model.conv_blocks: &a [[8, *a]]",
            "model.conv_blocks[0][1]: must be a whole number, got [[8, [[8, [[8, [...]]]]]]]",
        ),
        ("prepare.image_size: 32", "prepare.image_size: must be a list or null, got 32"),
        (
            "prepare.image_size: [32]",
            "prepare.image_size: must have at least 2 entries or null, got [32]",
        ),
        (
            "prepare.image_size: [1, 2, 3]",
            "prepare.image_size: must have at most 2 entries or null, got [1, 2, 3]",
        ),
        ("prepare.image_size: [32, 0]", "prepare.image_size[1]: must be at least 1, got 0"),
        ("prepare.image_size: [9, 4097]", "prepare.image_size[1]: must be at most 4,096, got 4097"),
        (
            "prepare.image_size: [6, 40]",
            "model.conv_blocks: layer 3 of block 1 leaves nothing of images of 6x40 pixels; "
            "use fewer layers or a smaller kernel_size",
        ),
        ("augmentation.rotation: -1", "augmentation.rotation: must be at least 0, got -1"),
        ("augmentation.rotation: 181", "augmentation.rotation: must be at most 180, got 181"),
        ("augmentation.shift: 1", "augmentation.shift: must be less than 1, got 1"),
        ("augmentation.zoom: a", "augmentation.zoom: must be a number, got 'a'"),
        ("train.label_smoothing: 1", "train.label_smoothing: must be less than 1, got 1"),
        ("evaluate.images: []", "evaluate.images: must have at least 1 entry or null, got []"),
        ("evaluate.images: [-1]", "evaluate.images[0]: must be at least 0, got -1"),
        (
            "evaluate.images: [1, 2, 1]",
            "evaluate.images: must not name an image twice, got [1, 2, 1]",
        ),
        (
            "evaluate.images: [9999, 10000]",
            "evaluate.images: there is no test image 10,000; with 10,000 test images, the last is "
            "9,999",
        ),
        ("model.kernel_size: 0", "model.kernel_size: must be at least 1, got 0"),
        ("model.kernel_size: 3.0", "model.kernel_size: must be a whole number, got 3.0"),
        ("model.kernel_size: [3, 3]", "model.kernel_size: must be a whole number, got [3, 3]"),
        ("model.dense_units: 128", "model.dense_units: must be a list, got 128"),
        ("model.dense_units: [128, 0]", "model.dense_units[1]: must be at least 1, got 0"),
        (
            "model.dense_units: [128, null]",
            "model.dense_units[1]: must be a whole number, got null",
        ),
        ("model.dropout: 1", "model.dropout: must be less than 1, got 1"),
        ("model.dropout: -0.1", "model.dropout: must be at least 0, got -0.1"),
        ("model.dropout: .nan", "model.dropout: must be a finite number, got nan"),
        ("model.dropout: false", "model.dropout: must be a number, got false"),
        ("model.dropout: '0.5'", "model.dropout: must be a number, got '0.5'"),
        ("model.batch_norm: yes", "model.batch_norm: must be true or false, got 'yes'"),
        ("model.batch_norm: 1", "model.batch_norm: must be true or false, got 1"),
        ("model.batch_norm:", "model.batch_norm: must be true or false, got null"),
        ("model.batch_norm_momentum: 1", "model.batch_norm_momentum: must be less than 1, got 1"),
        ("train.epochs: 0", "train.epochs: must be at least 1, got 0"),
        ("train.epochs: 1000000000", "train.epochs: must be at most 100,000, got 1000000000"),
        (
            "evaluate.confidence: 0.9999999999999999",
            "evaluate.confidence: must be at most 0.999999, got 0.9999999999999999",
        ),
        ("train.epochs: ten", "train.epochs: must be a whole number, got 'ten'"),
        ("train.epochs: 1.5", "train.epochs: must be a whole number, got 1.5"),
        ("train.epochs: 1e1", "train.epochs: must be a whole number, got 10.0"),
        ("train.epochs: true", "train.epochs: must be a whole number, got true"),
        ("train.epochs:", "train.epochs: must be a whole number, got null"),
        ("train.epochs: {max: 3}", "train.epochs: must be a whole number, got {'max': 3}"),
        ("train.batch_size: 0", "train.batch_size: must be at least 1, got 0"),
        (
            "train.optimizer: adagrad",
            f"train.optimizer: must be one of {OPTIMIZERS}, got 'adagrad'",
        ),
        (
            "train.optimizer: Adam",
            f"train.optimizer: must be one of {OPTIMIZERS}, got 'Adam'",
        ),
        (
            "train.optimizer: [adam]",
            f"train.optimizer: must be one of {OPTIMIZERS}, got ['adam']",
        ),
        ("train.learning_rate: 0", "train.learning_rate: must be more than 0, got 0"),
        ("train.learning_rate: 1e-400", "train.learning_rate: must be more than 0, got 0.0"),
        ("train.learning_rate: .inf", "train.learning_rate: must be a finite number, got inf"),
        ("train.learning_rate: true", "train.learning_rate: must be a number, got true"),
        (
            "train.learning_rate_schedule: linear",
            "train.learning_rate_schedule: must be one of constant, cosine, got 'linear'",
        ),
        (
            "train.learning_rate_schedule: null",
            "train.learning_rate_schedule: must be one of constant, cosine, got null",
        ),
        ("train.weight_decay: -1", "train.weight_decay: must be at least 0, got -1"),
        (
            "train.precision: float16",
            "train.precision: must be one of float32, mixed_bfloat16, got 'float16'",
        ),
        (
            "train.early_stopping_patience: 0",
            "train.early_stopping_patience: must be at least 1 or null, got 0",
        ),
        (
            "train.early_stopping_patience: none",
            "train.early_stopping_patience: must be a whole number or null, got 'none'",
        ),
        ("train.seed: -1", "train.seed: must be at least 0, got -1"),
        ("train.seed: 4294967296", "train.seed: must be at most 4,294,967,295, got 4294967296"),
        (
            f"train.seed: 0x{'f' * 5000}",
            "train.seed: must be at most 4,294,967,295, got a huge number",
        ),
        ("train.threads: 0", "train.threads: must be at least 1, got 0"),
        ("train.threads: 1025", "train.threads: must be at most 1,024, got 1025"),
        ("train.workers: 0", "train.workers: must be at least 1, got 0"),
        ("train.workers: 65", "train.batch_size: must be at least train.workers, 65, got 64"),
        ("evaluate.confidence: 0", "evaluate.confidence: must be more than 0, got 0"),
        ("evaluate.confidence: 1.0", "evaluate.confidence: must be at most 0.999999, got 1.0"),
        ("evaluate.confidence: 95%", "evaluate.confidence: must be a number, got '95%'"),
    ],
    ids=lambda value: value[:40],
)
def test_bad_value_gets_one_line(line: str, fault: str) -> None:
    write(lesson(line))
    assert faults() == [f"params.yaml: {fault}"]


@pytest.mark.parametrize(
    ("without", "added", "fault"),
    [
        ("train.epochs", {}, ["train.epochs: is missing"]),
        ("prepare.dataset", {}, ["prepare.dataset: is missing"]),
        ("train.early_stopping_patience", {}, ["train.early_stopping_patience: is missing"]),
        ("evaluate", {}, ["evaluate: is missing"]),
        ("", {"review": {}}, ["review: is not a known parameter"]),
        ("", {"lr": 0.1}, ["lr: is not a known parameter"]),
        ("", {"extra": 1}, ["extra: is not a known parameter"]),
        (
            "train.epochs",
            {"train": {"epoch": 10}},
            [
                "train.epochs: is missing",
                "train.epoch: is not a known parameter; did you mean train.epochs?",
            ],
        ),
        (
            "train",
            {"trian": {"epochs": 10}},
            ["train: is missing", "trian: is not a known parameter; did you mean train?"],
        ),
        (
            "",
            {"train": {"batch-size": 32}},
            ["train.batch-size: is not a known parameter; did you mean train.batch_size?"],
        ),
        (
            "",
            {"model": {"epochs": 3}},
            ["model.epochs: is not a known parameter; did you mean train.epochs?"],
        ),
        (
            "",
            {"train.epochs": 3},
            ["'train.epochs': is not a known parameter; did you mean train.epochs?"],
        ),
        ("", {"train": {"a\nb": 1}}, [r"train.'a\nb': is not a known parameter"]),
        ("", {"train": {7: 1}}, ["train.7: is not a known parameter"]),
        ("", {"evaluate": None}, ["evaluate: must be a mapping, got null"]),
        ("", {"evaluate": [0.95]}, ["evaluate: must be a mapping, got [0.95]"]),
        ("", {"evaluate": 0.95}, ["evaluate: must be a mapping, got 0.95"]),
    ],
)
def test_keys_that_are_missing_or_not_known(
    without: str, added: dict[str, Any], fault: list[str]
) -> None:
    params = YAML(typ="safe").load(LESSON_FILE)
    section, _, key = without.partition(".")
    if key:
        del params[section][key]
    elif section:
        del params[section]
    for name, value in added.items():
        params[name] = params.get(name, {}) | value if isinstance(value, dict) else value
    YAML().dump(params, Path("params.yaml"))
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
    write("[" * sys.getrecursionlimit())
    (line,) = faults()
    assert line.startswith("params.yaml: cannot be read: maximum recursion depth exceeded")


def test_missing_file_gets_one_line() -> None:
    assert faults() == ["params.yaml: cannot be read: No such file or directory"]


def test_folder_instead_of_a_file_gets_one_line() -> None:
    Path("params.yaml").mkdir()
    assert faults() == ["params.yaml: cannot be read: Is a directory"]


def test_duplicate_key_among_the_params_is_an_error() -> None:
    write("train:\n  epochs: 10\n  seed: 0\n  epochs: 20\n")
    assert faults() == [
        "params.yaml: line 4: while constructing a mapping that starts in line 2, "
        'found duplicate key "epochs" with value "20" (original value: "10")'
    ]


def test_message_names_the_file_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(lesson("train.epochs: 0"), encoding="utf-8")
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    assert str(caught.value) == f"{path}: train.epochs: must be at least 1, got 0"
    assert caught.value.exit_code == 2
    assert caught.value.__suppress_context__


def test_all_faults_are_reported_in_the_order_of_the_schema() -> None:
    text = lesson(
        "evaluate.confidence: 1",
        "prepare.dataset: a/b",
        "model.conv_blocks: [8, [x], []]",
        "model.dropout: 2",
        "train.threads: two",
        "train.epochs: 0",
        "train.optimizer: lion",
        without="train.seed",
    )
    write("extra: 1\n" + text)
    assert faults() == [
        f"params.yaml: prepare.dataset: {NOT_A_FOLDER}, got 'a/b'",
        "params.yaml: model.conv_blocks[0]: must be a list, got 8",
        "params.yaml: model.conv_blocks[1][0]: must be a whole number, got 'x'",
        "params.yaml: model.conv_blocks[2]: must have at least 1 entry, got []",
        "params.yaml: model.dropout: must be less than 1, got 2",
        "params.yaml: train.threads: must be a whole number, got 'two'",
        "params.yaml: train.epochs: must be at least 1, got 0",
        f"params.yaml: train.optimizer: must be one of {OPTIMIZERS}, got 'lion'",
        "params.yaml: train.seed: is missing",
        "params.yaml: evaluate.confidence: must be at most 0.999999, got 1",
        "params.yaml: extra: is not a known parameter",
    ]


def test_flatten_gives_lists_that_do_not_change_the_params() -> None:
    params = load_params(LESSON_FILE)
    flatten(params)["model.conv_blocks"].append([1])
    assert params.model.conv_blocks == [[32, 64, 128]]


def test_check_does_not_wait_for_slow_imports() -> None:
    code = "import sys, pipeline.provenance.params; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "pipeline.provenance.params" in loaded
    slow = {"dvc", "keras", "matplotlib", "mlflow", "pandas", "scipy", "sklearn", "tensorflow"}
    assert not loaded & slow


def test_training_and_validation_cannot_both_take_all(tmp_path: Path) -> None:
    path = Path(shutil.copy(FROZEN["params.yaml"], tmp_path))
    everything = {"prepare.train_samples": "all", "prepare.val_samples": "all"}
    edit_params(path, everything)
    with pytest.raises(ParamsError, match=r"prepare\.val_samples: must be a number where prepare"):
        load_params(path)
    edit_params(path, everything | {"prepare.val_from": "test"})
    assert load_params(path).prepare.val_samples == "all"
