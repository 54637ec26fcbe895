"""The tagger and the calibrator of a bundle, trained on labelled history."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from streamproc.errors import UserError
from streamproc.evaluation.prepared import Prepared
from streamproc.graph.evidence import FEATURES
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle, write_manifest
from streamproc.inference.calibration import Identity
from streamproc.inference.manifest import (
    MANIFEST_FILE,
    CalibratorSpec,
    Fold,
    Manifest,
    ReadText,
    TaggerSpec,
    Training,
    TrainingSet,
)
from streamproc.inference.marker_tokens import MarkerTokenizer
from streamproc.inference.tokenization import open_tokenizer
from streamproc.training.base_encoder import default_base
from streamproc.training.calibration import fit_map
from streamproc.training.evidence_models import write_calibrator, write_tagger
from streamproc.training.marker_training import MarkerTraining
from streamproc.training.perceptron import Network, fit_calibrator, fit_tagger
from streamproc.training.rows import Rows, join, valid_rows, varied_rows, without_votes
from streamproc.training.served import served_logits
from streamproc.training.soft_labels import softened
from streamproc.training.teacher_labels import TeacherLabels

__all__ = ["Plan", "train_models"]

EVIDENCE_TAGGER_FILE = "tagger/model.onnx"
MARKER_TAGGER_FILE = "tagger.onnx"  # beside the encoder's directory, in which its table of words lies
CALIBRATOR_FILE = "calibrator/model.onnx"
STATE_FILE = "training.pt"

# Part of the notes that the calibrator alone sees: the tagger is surer of the notes it was trained on.
_CALIBRATOR_SHARE = 0.35

_CALIBRATOR_PASSES = 2 / 3  # as many as the tagger makes over its own notes

_TEXT = ReadText(note_tokens=192, candidate_tokens=16)


@dataclass(frozen=True, slots=True)
class Plan:
    """How models are to be trained.

    Attributes:
        version: of the models, recorded in every output.
        notes_a_set: labelled notes drawn from each train, beside those under other conditions.
        marker: how a label-marker encoder is trained on the text; None: the tagger reads the evidence alone.
        checkpoint: directory of the transformers checkpoint that it starts from; None: all-MiniLM-L6-v2.
        teacher: soft labels that the tagger is to learn beside people's.
        held_out: notes of train that neither model may learn from: a teacher can label them as new. They stay in
            the history; None: none.
        sets: the datasets, as the manifest is to record them.
        networks: over the evidence that are trained, for tagger and calibrator each; their mean serves.
        passes: over the evidence, of a network of the tagger.
        seed: of every draw.
    """

    version: str
    notes_a_set: int = 4000
    marker: MarkerTraining | None = None
    checkpoint: Path | None = None
    teacher: TeacherLabels | None = None
    held_out: Fold | None = None
    sets: tuple[TrainingSet, ...] = ()
    networks: int = 1
    passes: int = 30
    seed: int = 0


def train_models(
    prepared: Sequence[Prepared],
    bundle: Path,
    thresholds: Thresholds,
    plan: Plan,
    progress: Callable[[str], None] = lambda _line: None,
) -> Manifest:
    """Train tagger and calibrator, write them into the bundle and record them in its manifest.

    Args:
        prepared: the datasets; each counts alike.
        bundle: directory of a bundle with an encoder.
        thresholds: of recall, as they will be in service.
        plan: how.
        progress: told what is being done.

    Returns:
        The manifest as written.

    Raises:
        UserError: no labelled note is left to learn from, the teacher knows none of them, or the tagger is to read text in
            words that it does not know.
    """
    manifest = msgspec.json.decode((bundle / MANIFEST_FILE).read_bytes(), type=Manifest)
    if plan.marker is not None:
        _check_words(bundle / manifest.encoder.tokenizer, plan.checkpoint)
    random = np.random.default_rng(plan.seed)
    names = tuple(each.dataset.name for each in prepared)
    parts = []
    for each in prepared:
        progress(f"recalling the history of {each.dataset.name}")
        parts.append(varied_rows(each, thresholds, random, plan.notes_a_set))
    rows = without_votes(join(parts), random)
    if plan.held_out is not None:
        rows = _without(rows, plan.held_out)
    held = random.random(len(rows.texts)) < _CALIBRATOR_SHARE
    learnt = rows.of_notes(~held)
    if plan.teacher is not None:
        learnt = softened(learnt, plan.teacher, say=progress)
    progress("training the tagger on the evidence")
    tagger = fit_tagger(learnt, networks=plan.networks, epochs=plan.passes, seed=plan.seed)
    spec = TaggerSpec(
        file=EVIDENCE_TAGGER_FILE,
        version=plan.version,
        features=FEATURES,
        training_data=names,
        held_out=plan.held_out,
    )
    if plan.marker is None:
        write_tagger(tagger, bundle / EVIDENCE_TAGGER_FILE)
    else:
        progress("training the label-marker encoder on the text")
        spec = msgspec.structs.replace(spec, file=MARKER_TAGGER_FILE, text=_TEXT)
        _write_marker(learnt, tagger, bundle, manifest, plan, progress)
    manifest = msgspec.structs.replace(
        manifest,
        training=Training(plan.sets, plan.notes_a_set, plan.seed, plan.networks, plan.passes),
        figures={},
    )
    manifest = write_manifest(bundle, msgspec.structs.replace(manifest, tagger=spec, calibrator=None))
    progress("training the calibrator")
    judged = rows.of_notes(held)
    calibrator = fit_calibrator(
        judged,
        served_logits(Bundle(bundle, manifest), judged),
        networks=plan.networks,
        epochs=max(round(_CALIBRATOR_PASSES * plan.passes), 1),
        seed=plan.seed,
    )
    write_calibrator(calibrator, bundle / CALIBRATOR_FILE)
    progress("fitting the calibration map on valid")
    uncalibrated = CalibratorSpec(
        file=CALIBRATOR_FILE, version=plan.version, map=Identity(), training_data=names
    )
    manifest = write_manifest(bundle, msgspec.structs.replace(manifest, calibrator=uncalibrated))
    fitted = fit_map(Bundle(bundle, manifest), [valid_rows(each, thresholds, random) for each in prepared])
    manifest = write_manifest(
        bundle,
        msgspec.structs.replace(manifest, calibrator=msgspec.structs.replace(uncalibrated, map=fitted)),
    )
    _remove_tagger_of_the_other_sort(bundle, spec.file)
    return manifest


def _check_words(tokenizer: Path, checkpoint: Path | None) -> None:
    """Make sure that encoder and label-marker encoder have one vocabulary: they share one table of words."""
    start = default_base().directory if checkpoint is None else checkpoint
    words, known = (open_tokenizer(file).get_vocab() for file in (tokenizer, start / "tokenizer.json"))
    if words != known:
        raise UserError(
            f"the bundle's encoder has other word pieces than {start.name if checkpoint else default_base().name}, from which a "
            "tagger that reads the text starts, and both share one table: train this bundle's tagger without --read-text"
        )


def _without(rows: Rows, held_out: Fold) -> Rows:
    """The rows of notes outside a part; the notes keep their numbers."""
    left = rows.of_notes(np.array([not held_out.holds(note_id) for note_id in rows.note_ids], dtype=np.bool_))
    if not len(left.note):
        raise UserError(
            f"holding out part {held_out.number} of {held_out.folds} leaves no note with candidates to learn from: "
            "take more notes or more parts"
        )
    return left


def _remove_tagger_of_the_other_sort(bundle: Path, used: str) -> None:
    """Remove the tagger that this one replaces, whether it came from the base bundle or from a run before."""
    for file in {EVIDENCE_TAGGER_FILE, MARKER_TAGGER_FILE} - {used}:
        (bundle / file).unlink(missing_ok=True)
    evidence_directory = (bundle / EVIDENCE_TAGGER_FILE).parent
    if evidence_directory.is_dir() and not any(evidence_directory.iterdir()):
        evidence_directory.rmdir()


def _write_marker(  # noqa: PLR0917 - all that training needs
    rows: Rows,
    evidence: Network,
    bundle: Path,
    manifest: Manifest,
    plan: Plan,
    progress: Callable[[str], None],
) -> None:
    # Late: what reads the evidence alone is trained without the packages that these need.
    from streamproc.training.checkpoint import read_checkpoint  # noqa: PLC0415
    from streamproc.training.marker import MarkerConfig  # noqa: PLC0415
    from streamproc.training.marker_export import export_marker, quantize_marker  # noqa: PLC0415
    from streamproc.training.marker_fit import fit_marker  # noqa: PLC0415

    assert plan.marker is not None  # noqa: S101 - for the type checker
    tokenizer = MarkerTokenizer(
        bundle / manifest.encoder.tokenizer,
        note_tokens=_TEXT.note_tokens,
        candidate_tokens=_TEXT.candidate_tokens,
    )
    model = fit_marker(
        rows,
        (MarkerConfig(len(FEATURES)), read_checkpoint(plan.checkpoint), evidence),
        tokenizer,
        plan.marker,
        state_file=bundle / STATE_FILE,
        progress=progress,
    )
    with TemporaryDirectory() as scratch:
        float_file = Path(scratch) / "model.onnx"
        export_marker(model, float_file, "logit")
        quantize_marker(float_file, bundle / MARKER_TAGGER_FILE, bundle / manifest.encoder.file)
