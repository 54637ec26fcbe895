"""A calibration map beside the bundle: one small file that an operator gives to every worker.

It names the models that it was fitted on and is refused with any others, for a map says nothing about what
another judge means by a probability.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import msgspec

from streamproc.errors import BundleError
from streamproc.inference.bundle import Bundle
from streamproc.inference.calibration import CalibrationMap

__all__ = ["CalibrationFile", "map_of", "models_digest", "read_calibration", "with_calibration", "with_map"]


class CalibrationFile(msgspec.Struct, frozen=True):
    """What a calibration file says to whoever serves with it.

    Attributes:
        models: :func:`models_digest` of the bundle it was fitted on.
        map: in place of the bundle's.
    """

    models: str
    map: CalibrationMap


def models_digest(bundle: Bundle) -> str:
    """What tells the models behind a probability from others: every file of the bundle, and its fitted recall.

    Raises:
        BundleError: the bundle has no tagger or no calibrator.
    """
    manifest = bundle.manifest
    if manifest.tagger is None or manifest.calibrator is None:
        raise BundleError(f"{bundle.path} has no trained tagger and calibrator: use a complete bundle")
    digest = hashlib.sha256()
    for name, content in sorted(manifest.files.items()):
        digest.update(f"{name} {content}\n".encode())
    digest.update(msgspec.json.encode(manifest.recall, order="deterministic"))
    return digest.hexdigest()


def map_of(bundle: Bundle) -> CalibrationMap:
    """The bundle's calibration map.

    Raises:
        BundleError: the bundle has no calibrator.
    """
    if bundle.manifest.calibrator is None:
        raise BundleError(f"{bundle.path} has no trained calibrator: use a complete bundle")
    return bundle.manifest.calibrator.map


def with_map(bundle: Bundle, calibration: CalibrationMap) -> Bundle:
    """The same models with another calibration map; nothing is written.

    Raises:
        BundleError: the bundle has no calibrator.
    """
    calibrator = bundle.manifest.calibrator
    if calibrator is None:
        raise BundleError(f"{bundle.path} has no trained calibrator: use a complete bundle")
    return replace(
        bundle,
        manifest=msgspec.structs.replace(
            bundle.manifest, calibrator=msgspec.structs.replace(calibrator, map=calibration)
        ),
    )


def with_calibration(bundle: Bundle, file: Path) -> Bundle:
    """The bundle with the map of a calibration file in place of its own.

    Raises:
        BundleError: the file cannot be read, or was fitted on other models.
    """
    read = read_calibration(file)
    if read.models != models_digest(bundle):
        raise BundleError(
            f"{file} was fitted on other models than those of {bundle.path}: "
            "fit it anew with streamproc calibrate confidence"
        )
    return with_map(bundle, read.map)


def read_calibration(file: Path) -> CalibrationFile:
    """Read a calibration file.

    Raises:
        BundleError: it cannot be read, or is none.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=CalibrationFile)
    except OSError as error:
        raise BundleError(f"{file} cannot be read: {error.strerror or error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(
            f"{file} is not a calibration file ({error}): make one with streamproc calibrate confidence"
        ) from None
