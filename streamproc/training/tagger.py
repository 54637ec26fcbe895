"""The first tagger and calibrator of a bundle, trained on labelled history."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from onnxruntime import InferenceSession

from streamproc.evaluation.dataset import Split
from streamproc.evaluation.prepared import Prepared
from streamproc.graph.evidence import FEATURES
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import write_manifest
from streamproc.inference.confidence import confidences
from streamproc.inference.calibration import CalibrationMap, Identity
from streamproc.inference.manifest import MANIFEST_FILE, CalibratorSpec, Manifest, TaggerSpec
from streamproc.inference.protocols import Float32
from streamproc.training.calibration import fit_beta
from streamproc.training.evidence_models import write_calibrator, write_tagger
from streamproc.training.perceptron import fit_calibrator, fit_tagger, logits
from streamproc.training.rows import Rows, join, rows_of, varied_rows, without_votes

__all__ = ["ArtifactScores", "fit_map", "train_models", "valid_rows"]

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
    for_calibrator = random.random(int(rows.note.max()) + 1) < _CALIBRATOR_SHARE
    held = for_calibrator[rows.note]
    progress("training the tagger")
    tagger = fit_tagger(_select(rows, ~held), seed=seed)
    progress("training the calibrator")
    judged = _select(rows, held)
    calibrator = fit_calibrator(judged, logits(tagger, judged.evidence)[:, 0], seed=seed)
    write_tagger(tagger, bundle / TAGGER_FILE)
    write_calibrator(calibrator, bundle / CALIBRATOR_FILE)
    progress("fitting the calibration map on valid")
    manifest = msgspec.json.decode((bundle / MANIFEST_FILE).read_bytes(), type=Manifest)
    manifest = msgspec.structs.replace(
        manifest,
        tagger=TaggerSpec(file=TAGGER_FILE, version=version, features=FEATURES, training_data=names),
        calibrator=CalibratorSpec(
            file=CALIBRATOR_FILE,
            version=version,
            map=fit_map(bundle, [valid_rows(each, thresholds, random) for each in prepared]),
            training_data=names,
        ),
    )
    return write_manifest(bundle, manifest)


def valid_rows(
    prepared: Prepared, thresholds: Thresholds, random: np.random.Generator, most: int = 1000
) -> Rows:
    """Rows of up to ``most`` labelled notes of valid, recalled from the whole of train."""
    labelled = [place for place, each in enumerate(prepared.dataset.valid) if each.gold]
    places = random.permutation(labelled)[:most]
    notes = [prepared.dataset.valid[place] for place in places]
    return rows_of(prepared, notes, prepared.vectors[Split.VALID][places], thresholds)


def fit_map(bundle: Path, parts: Sequence[Rows]) -> CalibrationMap:
    """The calibration map of a bundle's exported calibrator on these rows, each part counting alike."""
    scores = ArtifactScores(bundle)
    least = min(len(part.right) for part in parts)
    random = np.random.default_rng(0)
    probabilities, right = [], []
    for part in parts:
        chosen = random.permutation(len(part.right))[:least]
        probabilities.append(scores.confidences(part.evidence[chosen], Identity()))
        right.append(part.right[chosen])
    return fit_beta(np.concatenate(probabilities), np.concatenate(right))


class ArtifactScores:
    """The exported models of a bundle, run on rows of evidence.

    Args:
        bundle: a directory with tagger and calibrator.
    """

    def __init__(self, bundle: Path) -> None:
        providers = ["CPUExecutionProvider"]
        self._tagger = InferenceSession(str(bundle / TAGGER_FILE), providers=providers)
        self._calibrator = InferenceSession(str(bundle / CALIBRATOR_FILE), providers=providers)

    def logits(self, evidence: Float32) -> Float32:
        """The tagger's logits, float32[rows]."""
        logit: Float32 = self._tagger.run(["logit"], {"evidence": evidence})[0]
        return logit

    def confidences(self, evidence: Float32, calibration: CalibrationMap) -> Float32:
        """Confidences float32[rows] of the calibrator under a map."""
        features = np.concatenate([evidence, self.logits(evidence)[:, None]], axis=1)
        yes_no = self._calibrator.run(["logits"], {"features": features})[0]
        return confidences(yes_no, calibration)


def _select(rows: Rows, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Rows:
    return Rows(rows.evidence[chosen], rows.right[chosen], rows.note[chosen])
