"""The first tagger and calibrator of a bundle, trained on labelled history."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from streamproc.evaluation.prepared import Prepared
from streamproc.graph.evidence import FEATURES
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle, write_manifest
from streamproc.inference.calibration import Identity
from streamproc.inference.manifest import MANIFEST_FILE, CalibratorSpec, Manifest, TaggerSpec
from streamproc.training.calibration import fit_map
from streamproc.training.evidence_models import write_calibrator, write_tagger
from streamproc.training.perceptron import fit_calibrator, fit_tagger, logits
from streamproc.training.rows import join, valid_rows, varied_rows, without_votes

__all__ = ["train_models"]

TAGGER_FILE = "tagger/model.onnx"
CALIBRATOR_FILE = "calibrator/model.onnx"

# Part of the notes that the calibrator alone sees: the tagger is surer of the notes it was trained on.
_CALIBRATOR_SHARE = 0.35


def train_models(
    prepared: Sequence[Prepared],
    bundle: Path,
    thresholds: Thresholds,
    version: str,
    *,
    notes_a_set: int = 4000,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _line: None,
) -> Manifest:
    """Train tagger and calibrator, write them into the bundle and record them in its manifest.

    Args:
        prepared: the datasets; each counts alike.
        bundle: directory of a bundle with an encoder.
        thresholds: of recall, as they will be in service.
        version: of the models.
        notes_a_set: labelled notes drawn from each train, beside those under other conditions.
        seed: of every draw.
        progress: told what is being done.

    Returns:
        The manifest as written.
    """
    random = np.random.default_rng(seed)
    names = tuple(each.dataset.name for each in prepared)
    parts = []
    for each in prepared:
        progress(f"recalling the history of {each.dataset.name}")
        parts.append(varied_rows(each, thresholds, random, notes_a_set))
    rows = without_votes(join(parts), random)
    held = random.random(len(rows.texts)) < _CALIBRATOR_SHARE
    progress("training the tagger")
    tagger = fit_tagger(rows.of_notes(~held), seed=seed)
    progress("training the calibrator")
    judged = rows.of_notes(held)
    calibrator = fit_calibrator(judged, logits(tagger, judged.evidence)[:, 0], seed=seed)
    write_tagger(tagger, bundle / TAGGER_FILE)
    write_calibrator(calibrator, bundle / CALIBRATOR_FILE)
    progress("fitting the calibration map on valid")
    manifest = msgspec.json.decode((bundle / MANIFEST_FILE).read_bytes(), type=Manifest)
    uncalibrated = CalibratorSpec(file=CALIBRATOR_FILE, version=version, map=Identity(), training_data=names)
    manifest = write_manifest(
        bundle,
        msgspec.structs.replace(
            manifest,
            tagger=TaggerSpec(file=TAGGER_FILE, version=version, features=FEATURES, training_data=names),
            calibrator=uncalibrated,
        ),
    )
    fitted = fit_map(Bundle(bundle, manifest), [valid_rows(each, thresholds, random) for each in prepared])
    return write_manifest(
        bundle,
        msgspec.structs.replace(manifest, calibrator=msgspec.structs.replace(uncalibrated, map=fitted)),
    )
