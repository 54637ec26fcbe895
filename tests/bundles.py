"""Bundles that differ from the shipped one only in what a test needs; their files are links to the shipped files."""

from pathlib import Path

import msgspec

from streamproc.inference.bundle import Bundle, default_bundle_path, write_manifest
from streamproc.inference.calibration import Beta
from streamproc.inference.manifest import Manifest

__all__ = ["NEXT", "SHIPPED", "bundle_name", "bundle_with_another_encoder", "next_bundle"]

SHIPPED = Bundle.load(default_bundle_path()).manifest
NEXT = "next"


def bundle_name(version: str = SHIPPED.version) -> str:
    """How outcomes name a version of the shipped bundle."""
    return f"{SHIPPED.name}-{version}"


def next_bundle(path: Path, version: str = NEXT) -> Bundle:
    """The next version: a tagger and a calibrator of another name, and other confidences."""
    manifest = Bundle.load(default_bundle_path()).manifest
    assert manifest.tagger is not None
    assert manifest.calibrator is not None
    return _written(
        path,
        msgspec.structs.replace(
            manifest,
            version=version,
            tagger=msgspec.structs.replace(manifest.tagger, version=version),
            calibrator=msgspec.structs.replace(
                manifest.calibrator, version=version, map=Beta(a=0.5, b=0.5, c=0.5)
            ),
        ),
    )


def bundle_with_another_encoder(path: Path, encoder_hash: str = "ab" * 32) -> Bundle:
    """A bundle whose encoder says that its weights are others, so its graph is another."""
    manifest = Bundle.load(default_bundle_path()).manifest
    encoder = msgspec.structs.replace(manifest.encoder, float_sha256=encoder_hash)
    return _written(path, msgspec.structs.replace(manifest, version="other", encoder=encoder))


def _written(path: Path, manifest: Manifest) -> Bundle:
    shipped = Bundle.load(default_bundle_path())
    for name in shipped.manifest.files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).symlink_to(shipped.file(name))
    return Bundle(path, write_manifest(path, manifest))
