"""Where Git and DVC have what makes a state."""

from pathlib import Path

from pipeline.core.package import PACKAGE

CODE = Path(PACKAGE)
LOCK = Path("dvc.lock")
PACKAGES = Path("requirements/main.txt")
METRICS = Path("metrics")
SEEDS = METRICS / "seeds.json"
STAGES = Path("dvc.yaml")
VERSIONS = Path("requirements/versions.yaml")
