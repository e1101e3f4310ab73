"""The table of all experiments, from metrics that are made up."""

from rich.console import Console

from pipeline.experiments.compare import Row, make_table

METRICS = {"accuracy": 0.9624, "accuracy_low": 0.9585, "accuracy_high": 0.966, "errors": 1376}


def show(*rows: Row) -> list[str]:
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(make_table(iter(rows)))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_what_differs_comes_first_and_the_best_on_top() -> None:
    better = METRICS | {"accuracy": 0.97}
    lines = show(
        Row("", "HEAD", METRICS),
        Row("epochs=20", "long-run", better),
        Row("dropout=\x1b[2J0.3", "broken", {}),
    )
    assert lines[0].startswith("what differs from HEAD")
    cells = [line.split() for line in lines[1:]]
    assert cells[0] == ["epochs=20", "long-run", "0.9700", "(0.9585", "to", "0.9660)", "1,376"]
    assert cells[1][0] == "HEAD"
    assert cells[2] == ["dropout=[2J0.3", "broken", "no", "metrics"]


def test_many_changes_keep_within_120_columns() -> None:
    changes = ", ".join(f"a_long_name_of_a_param_{number}=0.125" for number in range(20))
    lines = show(Row(changes, "x" * 60, METRICS))
    assert max(map(len, lines)) <= 120
    shown = "".join(lines)
    assert all(f"param_{number}" in shown.replace(" ", "") for number in range(20))
    assert "0.9624 (0.9585 to 0.9660)" in shown
