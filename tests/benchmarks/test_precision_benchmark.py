"""What the benchmark of precision makes of what was measured, and how it names a processor."""

import pytest

from benchmarks.machine import name_instruction_sets
from benchmarks.precision import Trained, judge, measure_speed, tabulate
from pipeline.training.processor import Processor

PAIRS = [
    (Trained(1000.0, 0.95), Trained(1500.0, 0.96)),
    (Trained(1000.0, 0.96), Trained(1800.0, 0.95)),
    (Trained(500.0, 0.97), Trained(1000.0, 0.97)),
]


def test_the_first_epoch_which_builds_the_graph_does_not_count() -> None:
    assert measure_speed(100, [7.0, 8.0, 9.0]) == 100


def test_ratios_are_those_of_pairs_and_the_middle_one_counts() -> None:
    *_, last, medians = (line.split() for line in tabulate(PAIRS).splitlines())
    assert last[1::2] == ["2", "500", "1000", "2.00", "0.9700", "0.9700"]
    assert medians[1::2] == ["median", "1000", "1500", "1.80", "0.9600", "0.9600"]


def test_ratio_is_a_target_only_where_the_processor_can_show_it() -> None:
    ratio, accuracy = judge(PAIRS, can_show=True)
    assert (ratio.limit, ratio.measured, ratio.reached) == ("at least 1.6", "1.80", True)
    assert accuracy.reached
    assert judge(PAIRS, can_show=False) == [accuracy]
    assert judge(PAIRS[:1], can_show=True)[0].measured == "1.50"
    assert len(judge(PAIRS[:1], can_show=True)) == 1  # one seed has no spread


def test_difference_that_another_seed_does_not_explain_is_a_miss() -> None:
    worse = [(old, Trained(1.0, old.accuracy - 0.1)) for old, _ in PAIRS]
    (accuracy,) = judge(worse, can_show=False)
    assert not accuracy.reached


@pytest.mark.parametrize(
    ("features", "named"),
    [
        ({"fpu", "avx512_bf16", "avx2", "sse4_2"}, "sse4_2, avx2, avx512_bf16"),
        ({"asimd", "bf16", "fp"}, "asimd, bf16"),
        (None, "unknown"),
    ],
)
def test_instruction_sets_are_named_as_lscpu_does(features: set[str] | None, named: str) -> None:
    known = None if features is None else frozenset(features)
    assert name_instruction_sets(Processor("", known)) == named
