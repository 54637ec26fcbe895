"""The tagger and the calibrator of a bundle, trained on labelled history."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from streamproc.errors import UserError
from streamproc.evaluation.dataset import Dataset
from streamproc.evaluation.prepared import Prepared
from streamproc.graph.evidence import FEATURES
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import MODEL_CARD_FILE, Bundle, made_whole, write_manifest
from streamproc.inference.calibration import Identity
from streamproc.inference.manifest import (
    CalibratorSpec,
    Fold,
    Manifest,
    TaggerSpec,
    Training,
    TrainingSet,
)
from streamproc.inference.marker_tokens import MarkerTokenizer
from streamproc.inference.tokenization import open_tokenizer
from streamproc.training.base_encoder import default_base
from streamproc.training.calibration import fit_map
from streamproc.training.evidence_models import write_calibrator, write_tagger
from streamproc.training.marker_training import READ_TEXT, MarkerTraining
from streamproc.training.perceptron import Network, fit_calibrator, fit_tagger
from streamproc.training.rows import Rows, join, valid_rows, varied_rows, without_votes
from streamproc.training.served import served_logits
from streamproc.training.soft_labels import softened
from streamproc.training.teacher_labels import TeacherLabels

__all__ = ["Plan", "require_trainable", "train_models"]

EVIDENCE_TAGGER_FILE = "tagger/model.onnx"
MARKER_TAGGER_FILE = "tagger.onnx"  # beside the encoder's directory, in which its table of words lies
CALIBRATOR_FILE = "calibrator/model.onnx"
STATE_FILE = "training.pt"

# Part of the notes that the calibrator alone sees: the tagger is surer of the notes it was trained on.
_CALIBRATOR_SHARE = 0.35

_CALIBRATOR_PASSES = 2 / 3  # as many as the tagger makes over its own notes


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


def require_trainable(dataset: Dataset) -> Dataset:
    """The dataset, if it has what :func:`train_models` needs beside a history.

    Raises:
        UserError: no note of valid has a tag.
    """
    if not any(each.gold for each in dataset.valid):
        raise UserError(
            f"valid.jsonl of {dataset.name} has no note with a tag, and confidences are fitted to such notes: move some there"
        )
    return dataset


def train_models(  # noqa: PLR0917 - all that training needs
    prepared: Sequence[Prepared],
    base: Bundle,
    output: Path,
    thresholds: Thresholds,
    plan: Plan,
    progress: Callable[[str], None] = lambda _line: None,
) -> Manifest:
    """Train tagger and calibrator and write the base bundle with them.

    The bundle appears, or takes the place of the one that is there, as a whole or not at all. Of a tagger that reads the
    text the state is kept beside it, in ``<output>.training.pt``; the same call goes on from there.

    Args:
        prepared: the datasets; each counts alike.
        base: a bundle with an encoder; other models that it has are left out, and so is their card.
        output: directory of the new bundle; that of the base is written anew.
        thresholds: of recall, as they will be in service.
        plan: how.
        progress: told what is being done.

    Returns:
        The manifest as written.

    Raises:
        UserError: no labelled note is left to learn from, the teacher knows none of them, the tagger is to read text in words
            that it does not know, or the bundle holds an unfinished run with other data or settings.
    """
    output = output.resolve()
    if plan.marker is not None:
        _check_words(base.file(base.manifest.encoder.tokenizer), plan.checkpoint)
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
    learnt, judged = rows.of_notes(~held), rows.of_notes(held)
    valid = [valid_rows(each, thresholds, random) for each in prepared]
    _check_rows(learnt, judged, valid, names)
    if plan.teacher is not None:
        learnt = softened(learnt, plan.teacher, say=progress)
    with made_whole(output) as made:
        bundle = _without_models(base, made)
        manifest = msgspec.structs.replace(
            base.manifest,
            training=Training(plan.sets, plan.notes_a_set, plan.seed, plan.networks, plan.passes),
            figures={},
            tagger=_train_tagger(learnt, bundle, output, plan, names, progress),
            calibrator=None,
        )
        bundle = Bundle(made, write_manifest(made, manifest))
        progress("training the calibrator")
        calibrator = fit_calibrator(
            judged,
            served_logits(bundle, judged),
            networks=plan.networks,
            epochs=max(round(_CALIBRATOR_PASSES * plan.passes), 1),
            seed=plan.seed,
        )
        write_calibrator(calibrator, made / CALIBRATOR_FILE)
        progress("fitting the calibration map on valid")
        spec = CalibratorSpec(file=CALIBRATOR_FILE, version=plan.version, map=Identity(), training_data=names)
        bundle = Bundle(made, write_manifest(made, msgspec.structs.replace(manifest, calibrator=spec)))
        spec = msgspec.structs.replace(spec, map=fit_map(bundle, valid))
        return write_manifest(made, msgspec.structs.replace(manifest, calibrator=spec))


def _without_models(base: Bundle, made: Path) -> Bundle:
    """A copy of the base without its tagger, its calibrator and the card that speaks of them."""
    shutil.copytree(base.path, made, ignore=shutil.ignore_patterns(MODEL_CARD_FILE))
    for spec in (base.manifest.tagger, base.manifest.calibrator):
        if spec is not None:
            (made / spec.file).unlink()
            if not any((made / spec.file).parent.iterdir()):
                (made / spec.file).parent.rmdir()
    return Bundle(made, base.manifest)


def _check_rows(learnt: Rows, judged: Rows, valid: Sequence[Rows], names: Sequence[str]) -> None:
    """Make sure that there is something to fit each part to."""
    if not len(learnt.right) or not len(judged.right):
        raise UserError(
            f"recall finds candidates for too few labelled notes of {' and '.join(names)}: tagger and calibrator learn from "
            "different ones, so label more"
        )
    for name, rows in zip(names, valid, strict=True):
        if not len(rows.right):
            raise UserError(
                f"recall finds no candidate for the labelled notes in valid.jsonl of {name}, and confidences are fitted to "
                "them: label more"
            )


def _train_tagger(  # noqa: PLR0917 - all that training needs
    learnt: Rows,
    bundle: Bundle,
    output: Path,
    plan: Plan,
    names: tuple[str, ...],
    progress: Callable[[str], None],
) -> TaggerSpec:
    """Train a tagger of the sort that is planned, write it into the bundle and describe it."""
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
        write_tagger(tagger, bundle.file(spec.file))
        return spec
    progress("training the label-marker encoder on the text")
    spec = msgspec.structs.replace(spec, file=MARKER_TAGGER_FILE, text=READ_TEXT)
    state_file = output.with_name(f"{output.name}.{STATE_FILE}")
    _write_marker(learnt, tagger, bundle, plan, state_file, progress)
    return spec


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


def _write_marker(  # noqa: PLR0917 - all that training needs
    rows: Rows,
    evidence: Network,
    bundle: Bundle,
    plan: Plan,
    state_file: Path,
    progress: Callable[[str], None],
) -> None:
    # Late: what reads the evidence alone is trained without the packages that these need.
    from streamproc.training.checkpoint import read_checkpoint  # noqa: PLC0415
    from streamproc.training.marker import MarkerConfig  # noqa: PLC0415
    from streamproc.training.marker_export import export_marker, quantize_marker  # noqa: PLC0415
    from streamproc.training.marker_fit import fit_marker  # noqa: PLC0415

    assert plan.marker is not None  # noqa: S101 - for the type checker
    tokenizer = MarkerTokenizer(
        bundle.file(bundle.manifest.encoder.tokenizer),
        note_tokens=READ_TEXT.note_tokens,
        candidate_tokens=READ_TEXT.candidate_tokens,
    )
    model = fit_marker(
        rows,
        (MarkerConfig(len(FEATURES), layers=plan.marker.layers), read_checkpoint(plan.checkpoint), evidence),
        tokenizer,
        plan.marker,
        state_file=state_file,
        progress=progress,
    )
    with TemporaryDirectory() as scratch:
        float_file = Path(scratch) / "model.onnx"
        export_marker(model, float_file, "logit")
        quantize_marker(
            float_file, bundle.file(MARKER_TAGGER_FILE), bundle.file(bundle.manifest.encoder.file)
        )
