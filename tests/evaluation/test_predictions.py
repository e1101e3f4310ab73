"""Tables of predictions keep the names of classes, whatever they look like."""

import pandas as pd
import pytest

from pipeline.evaluation.predictions import format_predictions, parse_predictions

NAMES = ["7", "007", "NA", "nan", "None", "1e3", "True", 'say "a", b', "T-shirt/top", "été", "#"]


def table(*names: str) -> pd.DataFrame:
    rows = [(image, name, names[0], 0.5) for image, name in enumerate(names)]
    return pd.DataFrame(rows, columns=["image", "label", "predicted", "probability"])


def test_names_come_back_as_they_were() -> None:
    parsed = parse_predictions(format_predictions(table(*NAMES)))

    assert parsed["label"].tolist() == NAMES
    assert parsed["image"].tolist() == list(range(len(NAMES)))
    assert parsed["probability"].tolist() == [0.5] * len(NAMES)


def test_table_is_csv_with_6_digits() -> None:
    assert format_predictions(table("a, b", "7")) == (
        'image,label,predicted,probability\n0,"a, b","a, b",0.500000\n1,7,"a, b",0.500000\n'
    )


def test_more_columns_are_no_other_table() -> None:
    parsed = parse_predictions("image,margin,label,predicted,probability\n3,0.25,NA,7,0.5\n")

    assert parsed[["image", "label", "predicted"]].to_numpy().tolist() == [[3, "NA", "7"]]


def test_table_without_rows_has_the_types_of_others() -> None:
    parsed = parse_predictions(format_predictions(table("a").head(0)))

    assert parsed.empty
    assert parsed["image"].dtype.kind == "i"


@pytest.mark.parametrize(
    "text",
    [
        "image,label,predicted\n1,a,b\n",
        "image,label,predicted,probability\n1.5,a,b,0.5\n",
        "image,label,predicted,probability\n,a,b,0.5\n",
        "image,label,predicted,probability\n1,a,b,\n",
        "image,label,predicted,probability\n1,a,b,high\n",
    ],
)
def test_other_tables_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"column|convert|parse|NA|invalid|integer"):
        parse_predictions(text)
