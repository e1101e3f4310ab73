"""Where Git and DVC have what makes a state."""

from pathlib import Path

CODE = Path(__name__.partition(".")[0])
LOCK = Path("dvc.lock")
PACKAGES = Path("requirements/main.txt")
METRICS = Path("metrics")
SEEDS = METRICS / "seeds.json"
STAGES = Path("dvc.yaml")
VERSIONS = Path("requirements/versions.yaml")
