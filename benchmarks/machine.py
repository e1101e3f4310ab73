"""The machine that figures are of: ratios differ from one processor to the next."""

import os
import platform
from importlib.metadata import version

from benchmarks.table import table
from pipeline.training.processor import Processor, read_processor

# As `lscpu` calls them, those of x86 and then of ARM: what the network's speed depends on.
INSTRUCTION_SETS = (
    *("sse4_2", "avx2", "avx512f", "avx512_bf16", "amx_bf16"),
    *("asimd", "sve", "bf16"),
)
LIBRARIES = ("tensorflow", "keras", "numpy", "dvc", "mlflow")


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def name_instruction_sets(processor: Processor) -> str:
    """Return those that count, as far as they are known."""
    known = processor.features or ()
    return ", ".join(name for name in INSTRUCTION_SETS if name in known) or "unknown"


def describe_processor() -> str:
    """Return the line that stands beside figures."""
    processor = read_processor()
    return (
        f"{processor.name or platform.machine()} ({name_instruction_sets(processor)}), "
        f"{count_cores()} of {os.cpu_count()} cores"
    )


def describe_machine(commit: str) -> str:
    """Return a table of what the results for a commit depend on."""
    processor = read_processor()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    rows = {
        "commit": commit,
        "processor": processor.name or platform.machine(),
        "instruction sets": name_instruction_sets(processor),
        "cores": f"{count_cores()} used of {os.cpu_count()}",
        "memory": f"{memory:.0f} GB",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }
    return table(["", "machine"], rows.items())
