"""Opens the models where the settings want them: in this process, or on Triton."""

from pathlib import Path

from streamproc.config import Inference, Settings
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.calibration_file import with_calibration
from streamproc.inference.onnx import load_models
from streamproc.inference.protocols import Models

__all__ = ["configured_bundle", "load_bundle", "open_models"]


def configured_bundle(settings: Settings) -> Path:
    """Where the settings' bundle is now, links followed, or else the one that ships with the package."""
    return (settings.bundle or default_bundle_path()).expanduser().resolve()


def load_bundle(settings: Settings) -> Bundle:
    """The bundle that the settings name, or else the one that ships with the package; hashes verified.

    A link is followed once: what is read later comes from the bundle that was verified, wherever it points then.

    Where the settings name a calibration file, its map stands in place of the bundle's.

    Raises:
        BundleError: a file is missing or was altered, or the calibration was fitted on other models.
    """
    bundle = Bundle.load(configured_bundle(settings))
    if settings.calibration is None:
        return bundle
    return with_calibration(bundle, settings.calibration.expanduser())


def open_models(settings: Settings, bundle: Bundle) -> Models:
    """Encoder, tagger and calibrator of the bundle.

    Raises:
        BundleError: the bundle lacks a model.
        UserError: onnxruntime is not installed, or Triton serves other versions.
    """
    if settings.inference is Inference.TRITON:
        # Its client is a heavy import that in-process runs do without.
        from streamproc.inference.triton import load_triton_models  # noqa: PLC0415

        return load_triton_models(settings, bundle)
    return load_models(bundle, settings.inference_threads)
