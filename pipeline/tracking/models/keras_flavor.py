"""An MLflow flavor that logs a `.keras` file byte for byte, without loading it.

`mlflow.keras.log_model` wants the model in memory and saves it again, in other bytes. What this
writes, `mlflow.keras.load_model` and `mlflow.pyfunc.load_model` load like any other.
"""

import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mlflow import pyfunc
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.models.utils import _save_example
from ruamel.yaml import YAML

LOADER = Path(__file__).with_name("image_classifier.py")
REQUIREMENTS = [f"{package}=={version(package)}" for package in ("mlflow", "keras", "tensorflow")]


def save_model(
    folder: Path,
    mlflow_model: Model,
    keras_file: Path,
    signature: ModelSignature,
    input_example: npt.NDArray[np.uint8] | None,
) -> None:
    """Write the folder of an MLflow model."""
    data, code = folder / "data", folder / "code"
    for made in (data, code):
        made.mkdir(parents=True)
    shutil.copyfile(keras_file, data / "model.keras")
    (data / "keras_module.txt").write_text("keras")
    shutil.copyfile(LOADER, code / LOADER.name)
    (folder / "requirements.txt").write_text("\n".join(REQUIREMENTS) + "\n")
    environment = {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
    YAML().dump(environment, folder / "python_env.yaml")
    if input_example is not None:
        _save_example(mlflow_model, input_example, str(folder))
    mlflow_model.signature = signature
    mlflow_model.add_flavor(
        "keras",
        data=data.name,
        keras_version=version("keras"),
        keras_backend="tensorflow",
        save_exported_model=False,
    )
    pyfunc.add_to_model(
        mlflow_model,
        loader_module=LOADER.stem,
        data=data.name,
        code=code.name,
        python_env="python_env.yaml",
    )
    mlflow_model.save(str(folder / MLMODEL_FILE_NAME))
