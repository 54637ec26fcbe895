"""A complete bundle: the shipped encoder with two small random models (models/make.py)."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

import msgspec
import pytest

from streamproc.inference.bundle import Bundle, default_bundle_path, write_manifest
from streamproc.inference.calibration import Beta
from streamproc.inference.manifest import CalibratorSpec, TaggerSpec
from streamproc.inference.onnx import OnnxEncoder, load_encoder

MODELS = Path(__file__).parent / "models"
FEATURES = 7
"""Columns of evidence that models/make.py gives its networks."""


@pytest.fixture
def bundle_path(tmp_path: Path) -> Path:
    shipped = Bundle.load(default_bundle_path())
    path = tmp_path / "bundle"
    (path / "encoder").mkdir(parents=True)
    for name in (shipped.manifest.encoder.file, shipped.manifest.encoder.tokenizer):
        (path / name).symlink_to(shipped.file(name))
    for name in ("tagger.onnx", "calibrator.onnx"):
        copyfile(MODELS / name, path / name)
    write_manifest(
        path,
        msgspec.structs.replace(
            shipped.manifest,
            tagger=TaggerSpec(
                file="tagger.onnx",
                version="tagger-test",
                features=tuple(f"evidence_{number}" for number in range(FEATURES)),
                training_data=(),
            ),
            calibrator=CalibratorSpec(
                file="calibrator.onnx", version="calibrator-test", map=Beta(0.8, 1.2, -0.3), training_data=()
            ),
        ),
    )
    return path


@pytest.fixture(scope="module")
def encoder() -> Iterator[OnnxEncoder]:
    loaded = load_encoder(Bundle.load(default_bundle_path()), threads=2)
    yield loaded
    loaded.pool.close()
