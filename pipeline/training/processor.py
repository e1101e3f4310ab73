"""What the system says of this machine's processor, and whether it is one for bfloat16."""

import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

# Linux's names: of x86's, the last of which only converts, and of ARM's.
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"})
CPUINFO = Path("/proc/cpuinfo")
SYSCTL = ("/usr/sbin/sysctl", "machdep.cpu.brand_string", "hw.optional.arm")
APPLES = "hw.optional.arm.FEAT_"  # what comes before ARM's own names of instruction sets


class Processor(NamedTuple):
    """A processor.

    Attributes:
        name: of the model; empty where the system has none.
        features: names of its instruction sets, in lower case; None: the system does not say.
    """

    name: str
    features: frozenset[str] | None

    @property
    def lacks_bfloat16(self) -> bool:
        """Whether it is known to have no instructions for bfloat16."""
        return self.features is not None and not self.features & BFLOAT16


def read_processor() -> Processor:
    """Ask Linux or macOS."""
    try:
        if platform.system() != "Darwin":  # `sys.platform` would have mypy skip the rest
            return parse_cpuinfo(CPUINFO.read_text(encoding="utf-8"))
        run = subprocess.run(SYSCTL, capture_output=True, text=True, check=False)  # noqa: S603
        return parse_sysctl(run.stdout)
    except OSError:
        return Processor("", None)


def parse_cpuinfo(text: str) -> Processor:
    """Return what `/proc/cpuinfo` says of the first core."""
    facts = _parse(text.partition("\n\n")[0])
    features = (facts.get("flags") or facts.get("Features", "")).lower().split()  # x86 or ARM
    return Processor(facts.get("model name", ""), frozenset(features) or None)


def parse_sysctl(text: str) -> Processor:
    """Return what macOS's `sysctl` says; Macs with Intel, and old systems, leave out bfloat16."""
    facts = _parse(text)
    found = {key.removeprefix(APPLES).lower(): value for key, value in facts.items()}
    features = frozenset(name for name, value in found.items() if value == "1")
    return Processor(
        facts.get("machdep.cpu.brand_string", ""), features if "bf16" in found else None
    )


def warn_of_slowness(precision: str, processor: Processor, gpus: int) -> str | None:
    """Return a line that says so where a precision slows training down.

    Args:
        precision: of `train`.
        processor: of this machine.
        gpus: their number; where there are some, the processor does not matter.
    """
    if precision == "float32" or gpus or not processor.lacks_bfloat16:
        return None
    name = processor.name or "this processor"
    return (
        f"train.precision: {precision} is slower than float32 here, as {name} has no "
        "instructions for bfloat16"
    )


def _parse(text: str) -> dict[str, str]:
    lines = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}
