"""What the system says of processors, and which of them are told that bfloat16 is slow there.

The texts are shortened from what Linux and macOS print on such machines.
"""

import pytest

from pipeline.training.processor import (
    Processor,
    parse_cpuinfo,
    parse_sysctl,
    read_processor,
    warn_of_slowness,
)

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R): 4th generation
flags\t\t: fpu sse4_2 avx2 avx512f{more}
bugs\t\t: spectre_v1

processor\t: 1
model name\t: another
flags\t\t: fpu avx512_bf16
"""
ARM = """processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd sve i8mm{more}
CPU implementer\t: 0x41
"""
APPLE = """machdep.cpu.brand_string: Apple M1
hw.optional.arm.FEAT_FP16: 1
hw.optional.arm.FEAT_BF16: {bf16}
"""


@pytest.mark.parametrize("more", [" avx512_bf16", " amx_bf16 amx_tile", " avx_ne_convert"])
def test_x86_processor_is_known_by_its_flags(more: str) -> None:
    found = parse_cpuinfo(X86.format(more=more))
    assert found.name == "Intel(R) Xeon(R): 4th generation"
    assert found.features == frozenset({"fpu", "sse4_2", "avx2", "avx512f", *more.split()})
    assert not found.lacks_bfloat16
    assert parse_cpuinfo(X86.format(more="")).lacks_bfloat16


def test_arm_processor_is_known_by_its_features() -> None:
    assert parse_cpuinfo(ARM.format(more="")) == Processor(
        "", frozenset({"fp", "asimd", "sve", "i8mm"})
    )
    assert parse_cpuinfo(ARM.format(more="")).lacks_bfloat16
    assert not parse_cpuinfo(ARM.format(more=" bf16")).lacks_bfloat16


@pytest.mark.parametrize(("bf16", "lacks"), [(0, True), (1, False)])
def test_apples_processor_is_known_by_what_sysctl_prints(bf16: int, lacks: bool) -> None:
    found = parse_sysctl(APPLE.format(bf16=bf16))
    assert found.name == "Apple M1"
    assert found.lacks_bfloat16 == lacks


@pytest.mark.parametrize("text", ["", "isa\t: rv64imafdc\n", "flags\t\t:\n"])
def test_nothing_is_said_of_a_processor_of_which_nothing_is_known(text: str) -> None:
    assert not parse_cpuinfo(text).lacks_bfloat16
    assert not parse_sysctl(text).lacks_bfloat16
    assert not parse_sysctl("machdep.cpu.brand_string: Intel(R) Core(TM) i7").lacks_bfloat16


def test_slowness_is_told_where_the_processor_computes_and_lacks_the_instructions() -> None:
    old, new = Processor("Old", frozenset({"avx2"})), Processor("New", frozenset({"amx_bf16"}))
    assert warn_of_slowness("mixed_bfloat16", old, gpus=0) == (
        "train.precision: mixed_bfloat16 is slower than float32 here, as Old has no instructions "
        "for bfloat16"
    )
    nameless = warn_of_slowness("mixed_bfloat16", old._replace(name=""), gpus=0)
    assert nameless
    assert "as this processor has no" in nameless
    assert warn_of_slowness("mixed_bfloat16", old, gpus=1) is None
    assert warn_of_slowness("mixed_bfloat16", new, gpus=0) is None
    assert warn_of_slowness("float32", old, gpus=0) is None


def test_this_machines_processor_can_be_asked_for() -> None:
    assert isinstance(read_processor(), Processor)
