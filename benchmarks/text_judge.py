"""Whether a judge of Yes and No (LLM4Tag, eq. 10) gains by reading the note and the tagger's best 8 tags with their definitions.

    python -m benchmarks.text_judge DATASETS_DIR/nyt_keywords valid --bundle BUNDLE --notes 6000 --layers 2 --epochs 2

Needs the ``train`` extra. Judges learn from notes of train, each recalled as if it were new; a quarter of these is kept apart, and
a Beta map is fitted to it for each. One judge reads the evidence and the tagger's logit, as in service. The other begins as
that one, and a label-marker encoder over note and tags corrects it. Printed are, over the best 8 tags of the split's notes, Brier
score and area under risk–coverage (less is better), P@1, and what the text changes, with its 95 % interval over resampled notes.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from benchmarks.command import needing, parser_of, run
from streamproc.calibration.forms import fit_beta
from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.metrics import area_under_risk_coverage, brier, paired_bootstrap
from streamproc.evaluation.prepared import Prepared, prepare
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.calibration import apply_map
from streamproc.inference.confidence import yes_probability
from streamproc.inference.marker_tokens import MarkerTokenizer
from streamproc.inference.onnx import load_encoder
from streamproc.inference.protocols import Float32
from streamproc.training.marker_training import READ_TEXT, MarkerTraining
from streamproc.training.rows import Rows, history_rows, rows_of
from streamproc.training.served import served_logits

Float64 = npt.NDArray[np.float64]

BEST = 8
HELD = 0.25  # of the notes that judges may learn from; maps are fitted to it


def best_rows(rows: Rows, logits: Float32) -> Rows:
    """The tagger's best candidates of each note; their evidence ends in its logit.

    Args:
        rows: of all candidates.
        logits: the tagger's, float32[rows].
    """
    order = np.lexsort((-logits, rows.note))
    starts = np.flatnonzero(np.diff(rows.note[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    kept = np.sort(order[rank < BEST])
    return replace(
        rows,
        evidence=np.concatenate([rows.evidence[kept], logits[kept, None]], axis=1),
        right=rows.right[kept],
        note=rows.note[kept],
        tags=tuple([rows.tags[row] for row in kept]),
    )


@dataclass(frozen=True)
class Judged:
    """What a judge makes of the split: confidences after its map, float64[rows], and how long its training took."""

    name: str
    confidences: Float64
    seconds: float = 0.0


def best_of(
    prepared: Prepared, bundle: Bundle, split: Split, notes: int, random: np.random.Generator
) -> tuple[Rows, Rows]:
    """The best candidates of notes of train, to learn from, and of the split's notes, to be judged."""
    thresholds = Thresholds.of(bundle.manifest.recall)
    learnt = history_rows(prepared, thresholds, random, notes)
    whole = prepared.dataset.split(split)
    places = np.array([place for place, each in enumerate(whole) if each.gold], dtype=np.int64)
    judged = rows_of(
        prepared, [whole[place] for place in places], prepared.vectors[split][places], thresholds
    )
    return best_rows(learnt, served_logits(bundle, learnt)), best_rows(judged, served_logits(bundle, judged))


def judge_all(
    learnt: Rows, judged: Rows, bundle: Bundle, *, layers: int, epochs: int, seed: int
) -> list[Judged]:
    """The tagger's own confidences, those of the judge that reads the evidence, and those of the one that reads the text, too.

    Args:
        learnt: to learn from, the part for the maps among it.
        judged: of the notes that are scored.
        bundle: its tokenizer is the encoder's that reads.
        layers: of that encoder.
        epochs: passes over the notes.
        seed: of every draw.
    """
    with needing("train"):
        from streamproc.training.checkpoint import read_checkpoint  # noqa: PLC0415 - an extra
        from streamproc.training.marker import MarkerConfig  # noqa: PLC0415
        from streamproc.training.marker_fit import fit_marker, marker_logits  # noqa: PLC0415
        from streamproc.training.perceptron import fit_calibrator, logits  # noqa: PLC0415
    held = np.random.default_rng(seed).random(len(learnt.texts)) < HELD
    mapped, learnt = learnt.of_notes(held), learnt.of_notes(~held)
    tagger = _judged("the tagger alone", _pair(mapped.evidence[:, -1]), mapped, _pair(judged.evidence[:, -1]))
    began = time.monotonic()
    own = replace(learnt, evidence=learnt.evidence[:, :-1])
    network = fit_calibrator(own, learnt.evidence[:, -1], seed=seed)
    of_mapped, of_judged = (logits(network, each.evidence) for each in (mapped, judged))
    evidence = _judged("a judge of the evidence", of_mapped, mapped, of_judged, time.monotonic() - began)
    began = time.monotonic()
    tokenizer = MarkerTokenizer(
        bundle.file(bundle.manifest.encoder.tokenizer),
        note_tokens=READ_TEXT.note_tokens,
        candidate_tokens=READ_TEXT.candidate_tokens,
    )
    config = MarkerConfig(learnt.evidence.shape[1], outputs=2, layers=layers)
    training = MarkerTraining(
        layers=layers, epochs=epochs, candidates=BEST, others=0, listwise=0.0, without_votes=0.0, seed=seed
    )
    with TemporaryDirectory() as scratch:
        model = fit_marker(
            learnt,
            (config, read_checkpoint(), network),
            tokenizer,
            training,
            state_file=Path(scratch) / "state.pt",
            progress=lambda line: print(line, flush=True),
        )
    seconds = time.monotonic() - began
    of_mapped, of_judged = (marker_logits(model, each, tokenizer) for each in (mapped, judged))
    text = _judged("a judge of evidence and text", of_mapped, mapped, of_judged, seconds)
    return [tagger, evidence, text]


def brier_of_notes(judged: Rows, confidences: Float64) -> Float64:
    """The squared errors of each note's best tags, summed, float64[notes]."""
    errors = (confidences - judged.right) ** 2
    sums: Float64 = np.bincount(judged.note, weights=errors).astype(np.float64)
    return sums


def right_first(judged: Rows, confidences: Float64) -> float:
    """P@1 among these tags."""
    order = np.lexsort((-confidences, judged.note))
    firsts = order[np.flatnonzero(np.diff(judged.note[order], prepend=-1))]
    return float(judged.right[firsts].mean())


def main() -> None:
    """Print a row for each judge, and what the text changes."""
    parser = parser_of(__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("split", type=Split, choices=[Split.VALID, Split.TEST])
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--notes", type=int, default=6000, help="of train, drawn at random")
    parser.add_argument("--layers", type=int, default=2, choices=range(1, 7))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    bundle = Bundle.load(given.bundle)
    encoder = load_encoder(bundle)
    encoder_file = bundle.manifest.files[bundle.manifest.encoder.file]
    prepared = prepare(
        read_dataset(given.dataset), VectorCache(encoder, encoder_file, Path("~/.cache/streamproc/vectors"))
    )
    encoder.pool.close()
    random = np.random.default_rng(given.seed)
    learnt, judged = best_of(prepared, bundle, given.split, given.notes, random)
    judges = judge_all(learnt, judged, bundle, layers=given.layers, epochs=given.epochs, seed=given.seed)
    print(f"{prepared.dataset.name}, {given.split}: {len(judged.right):,} tags", flush=True)
    for each in judges:
        print(
            f"{each.name}: Brier {brier(each.confidences, judged.right):.4f}, area "
            f"{area_under_risk_coverage(each.confidences, judged.right):.4f}, P@1 "
            f"{right_first(judged, each.confidences):.3f}, {each.seconds:.0f} s of training"
        )
    _, evidence, text = (brier_of_notes(judged, each.confidences) for each in judges)
    gain = paired_bootstrap(evidence, text)
    print(
        f"the text lowers a note's Brier sum of {evidence.mean():.4f} by {gain.mean:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
    )


def _pair(logits: Float32) -> Float32:
    """One logit as those of Yes and No, float32[rows, 2]."""
    return np.stack([logits, np.zeros_like(logits)], axis=1)


def _judged(name: str, of_mapped: Float32, mapped: Rows, of_judged: Float32, seconds: float = 0.0) -> Judged:
    """A judge's confidences from its logits of Yes and No, float32[rows, 2], of the part for the map and of the split."""
    beta = fit_beta(yes_probability(of_mapped), mapped.right)
    return Judged(name, apply_map(beta, yes_probability(of_judged)), seconds)


if __name__ == "__main__":
    run(main)
