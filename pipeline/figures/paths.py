"""Where the figures lie."""

from pathlib import Path

FIGURES = Path("metrics/figures")
NETWORK_PICTURES = Path("metrics/network")
