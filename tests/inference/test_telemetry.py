"""onnxruntime's wheels send usage data to its makers unless told not to before they are loaded."""

import os
import subprocess
import sys

import pytest

from streamproc.inference.model_repository import ENCODER, TAGGER
from tests.servers.triton import REPOSITORY

RUN_A_MODEL = """
from streamproc.config import load_settings
from streamproc.inference.backend import load_bundle
import onnxruntime
bundle = load_bundle(load_settings())
onnxruntime.InferenceSession(str(bundle.file(bundle.manifest.calibrator.file)))
"""


def traces(home):
    """What the library leaves in a home directory when it gives the machine an identity."""
    return [path for path in home.rglob("*") if "microsoft" in str(path).lower()]


def test_a_model_that_runs_in_process_leaves_no_identity_of_the_machine(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(
        [sys.executable, "-c", RUN_A_MODEL],
        env={**environment, "HOME": str(tmp_path)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert traces(tmp_path) == []


@pytest.mark.parametrize("model", [ENCODER, TAGGER])
def test_the_models_of_the_repository_say_so_before_they_import_it(model):
    source = (REPOSITORY / model / "1/model.py").read_text()
    assert source.index("ORT_DISABLE_TELEMETRY") < source.index("import onnxruntime")
