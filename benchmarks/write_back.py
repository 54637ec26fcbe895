"""Does writing back what the models believe help recall, and does it feed on its own mistakes?

    python -m benchmarks.write_back DATASETS_DIR/nyt_keywords --split test --train

The first half of train, by date, is labelled history; the second half is streamed without its labels
through recall, tagger, calibrator and policy, and what the pipeline would write back (``pipeline.beliefs``)
enters the graph as models' edges.
Every further pass tags the same notes again with the graph as it then stands and replaces their edges.
Three arms share the models and the first half: nothing written back (frozen), written back under the
guard, written back without it (the same edges then count as if a person had said so). A fourth is
the ceiling: the second half with its true labels.

``--train`` (needs the ``train`` extra) fits recall, tagger and calibrator to the labelled half, as an
operator with that history would; without it the bundle's are used as they are. Choose on valid (``--split
valid --tune``), run test to report. The pure functions of the pipeline run over an exact graph; vectors
come from the cache.
"""

import hashlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from types import MappingProxyType

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.command import parser_of, run
from streamproc.evaluation.dataset import LabelledNote, Split, read_dataset
from streamproc.evaluation.experiment import CANDIDATES
from streamproc.evaluation.metrics import (
    Interval,
    accuracy_at,
    coverage_at,
    expected_calibration_error,
    hit_rate,
    paired_bootstrap,
    right_candidates,
)
from streamproc.evaluation.prepared import Prepared, history_graph, import_edges, prepare, recall_all
from streamproc.evaluation.scoring import confidences_of
from streamproc.evaluation.vectors import VectorCache
from streamproc.events.graph import Provenance
from streamproc.events.tagged import RecallPath
from streamproc.graph.evidence import COLUMN
from streamproc.graph.hits import Edge
from streamproc.graph.memory import MemoryGraph
from streamproc.graph.recall import Recalled, explain
from streamproc.graph.thresholds import FITTED, Thresholds
from streamproc.graph.wording import words_of
from streamproc.inference.bundle import Bundle, default_bundle_path, write_manifest
from streamproc.inference.onnx import load_models
from streamproc.inference.protocols import Float32, Models
from streamproc.pipeline.beliefs import beliefs
from streamproc.pipeline.judged import scored
from streamproc.pipeline.policy import Decision, Policy, decide
from streamproc.training.fusion import fit_recall, recall_fit

BATCH_NOTES = 64
"""Notes tagged before the graph sees them; as many as a micro-batch of the worker holds at most."""

CEILING = "second half labelled"
"""The arm whose stream carries its true labels."""

PASSES = 5
"""Over the stream; a mistake that feeds on itself shows in the later ones."""

TUNED_WEIGHTS = (0.15, 0.2, 0.25, 0.3)
TUNED_VOTES = (16.0, 24.0, 32.0)
"""Grid of ``--tune``: ``min_model_weight`` × weight of ``vote_model``, one pass each."""

CALIBRATED_NOTES = 400
"""Latest notes of the labelled half that ``--train`` keeps for the calibration map."""

TRAINED_NOTES = 3000
"""Notes that ``--train`` draws from the others."""

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Setting:
    """What all arms share.

    Attributes:
        prepared: the dataset.
        models: tagger and calibrator of the bundle.
        policy: which tags are emitted.
        history: places in train that are labelled, earliest first.
        stream: places in train that arrive without labels, in order of time.
        scored: places in the measured file whose notes have a right tag.
        split: the measured file.
    """

    prepared: Prepared
    models: Models
    policy: Policy
    history: npt.NDArray[np.int64]
    stream: npt.NDArray[np.int64]
    scored: npt.NDArray[np.int64]
    split: Split


@dataclass(frozen=True, slots=True)
class Figures:
    """One arm on the measured notes; arrays hold one entry a note.

    Attributes:
        right: right tags among 20 candidates, float64[notes].
        gained: right candidates to which only models' edges led, float64[notes].
        candidates: ids of the 20 candidates of each note.
        gold: ids of its right tags.
        accuracy: Acc@1, over the notes that got a tag.
        first_right: whether the first tag is right, float64[notes]; nan where nothing was emitted.
        coverage: Coverage@1.
        ece: of all candidates.
        ece_emitted: of the tags that were emitted.
        emitted: tags a note.
    """

    right: Float64
    gained: Float64
    candidates: list[list[str]]
    gold: list[frozenset[str]]
    accuracy: float
    first_right: Float64
    coverage: float
    ece: float
    ece_emitted: float
    emitted: float


@dataclass(frozen=True, slots=True)
class Pass:
    """The graph after the stream went through once more, and how many edges a streamed note has in it."""

    graph: MemoryGraph
    edges: float


def setting(prepared: Prepared, models: Models, split: Split) -> Setting:
    """Cut train in two by date, ties in the file's order."""
    by_date = _by_date(prepared)
    half = len(by_date) // 2
    measured = prepared.dataset.split(split)
    with_gold = np.array([place for place, each in enumerate(measured) if each.gold], dtype=np.int64)
    return Setting(prepared, models, Policy(), by_date[:half], by_date[half:], with_gold, split)


def frozen_graph(common: Setting) -> MemoryGraph:
    """The tags and the labelled half."""
    notes, vectors = _of_train(common, common.history)
    return history_graph(common.prepared.dataset, common.prepared.tag_vectors, notes, vectors)


def labelled_graph(common: Setting) -> MemoryGraph:
    """The tags and both halves, both labelled: what perfect models would write back."""
    graph = frozen_graph(common)
    notes, vectors = _of_train(common, common.stream)
    edges = [import_edges(each) for each in notes]
    graph.append(
        [each.note.note_id for each in notes], vectors, edges, [words_of(each.note) for each in notes]
    )
    return graph


def passes(
    common: Setting, thresholds: Thresholds, count: int, written_as: Provenance = Provenance.MODEL
) -> Iterator[Pass]:
    """Stream the second half again and again.

    In the first pass a note enters the graph after its batch; in later ones its edges are replaced. A
    note never recalls itself, so its own edges do not confirm themselves except by way of others.

    Args:
        common: what to stream.
        thresholds: of recall, the guard among them.
        count: how many passes.
        written_as: whose word the edges are said to be; only models' are guarded.
    """
    graph = frozen_graph(common)
    first = len(common.history)
    notes, vectors = _of_train(common, common.stream)
    for number in range(count):
        written = 0
        for start in range(0, len(notes), BATCH_NOTES):
            batch = slice(start, start + BATCH_NOTES)
            edges = written_edges(common, graph, notes[batch], vectors[batch], thresholds, written_as)
            written += sum(map(len, edges))
            if number:
                for place, of_note in enumerate(edges, start=first + start):
                    graph.relabel(place, of_note)
            else:
                words = [words_of(each.note) for each in notes[batch]]
                graph.append([each.note.note_id for each in notes[batch]], vectors[batch], edges, words)
        yield Pass(graph, written / len(notes))


def written_edges(  # noqa: PLR0917 - a benchmark's inner step
    common: Setting,
    graph: MemoryGraph,
    notes: Sequence[LabelledNote],
    vectors: Float32,
    thresholds: Thresholds,
    written_as: Provenance,
) -> list[tuple[Edge, ...]]:
    """The edges that the pipeline writes back for these notes."""
    recalled = _recalled(common, graph, notes, vectors, thresholds)
    return [
        tuple(
            Edge(each.tag.tag_id, each.confidence, written_as)
            for each in beliefs(decision, thresholds.min_model_weight)
        )
        for decision in _decided(common, notes, recalled)[0]
    ]


def measure(common: Setting, graph: MemoryGraph, thresholds: Thresholds) -> Figures:
    """Recall and tag the measured notes; they never enter the graph."""
    measured = common.prepared.dataset.split(common.split)
    notes = [measured[place] for place in common.scored]
    gold = [each.gold for each in notes]
    vectors = common.prepared.vectors[common.split][common.scored]
    at_20 = _recalled(common, graph, notes, vectors, replace(thresholds, candidates=CANDIDATES))
    recalled = _recalled(common, graph, notes, vectors, thresholds)
    decisions, confidences = _decided(common, notes, recalled)
    emitted = [decision.emitted for decision in decisions]
    right = np.array([tag.tag_id in g for each, g in zip(recalled, gold, strict=True) for tag in each.tags])
    ids = [[each.tag.tag_id for each in of_note] for of_note in emitted]
    sure = [each.confidence for of_note in emitted for each in of_note]
    sure_right = [tag in g for tags, g in zip(ids, gold, strict=True) for tag in tags]
    candidates = [[tag.tag_id for tag in each.tags] for each in at_20]
    return Figures(
        right=right_candidates(candidates, gold),
        gained=np.array([_only_models(each, g) for each, g in zip(at_20, gold, strict=True)], dtype=float),
        candidates=candidates,
        gold=gold,
        accuracy=float(accuracy_at(ids, gold, 1).mean()),
        first_right=np.array(
            [float(tags[0] in g) if tags else np.nan for tags, g in zip(ids, gold, strict=True)]
        ),
        coverage=coverage_at(ids, 1),
        ece=expected_calibration_error(np.concatenate(confidences), right),
        ece_emitted=expected_calibration_error(sure, sure_right),
        emitted=len(sure) / len(notes),
    )


def _of_train(common: Setting, places: npt.NDArray[np.int64]) -> tuple[list[LabelledNote], Float32]:
    train = common.prepared.dataset.train
    return [train[place] for place in places], common.prepared.vectors[Split.TRAIN][places]


def _recalled(
    common: Setting,
    graph: MemoryGraph,
    notes: Sequence[LabelledNote],
    vectors: Float32,
    thresholds: Thresholds,
) -> list[Recalled]:
    hits = graph.nearest(vectors, tags=thresholds.nearest_tags, notes=thresholds.nearest_notes)
    return recall_all(notes, hits, common.prepared.repository, thresholds)


def _decided(
    common: Setting, notes: Sequence[LabelledNote], recalled: Sequence[Recalled]
) -> tuple[list[Decision], list[Float32]]:
    """The decision on each note, and the confidence of every candidate."""
    confidences = confidences_of(notes, recalled, common.models)
    decisions = [
        decide(scored(found, of_note), common.policy)
        for found, of_note in zip(recalled, confidences, strict=True)
    ]
    return decisions, confidences


def _only_models(recalled: Recalled, gold: frozenset[str]) -> int:
    """Right candidates that neither their vector, nor their words, nor a labelled note led to."""
    people, models = COLUMN["vote_50"], COLUMN["vote_model"]
    return sum(
        explain(recalled, place)[0] == (RecallPath.C2C2T,)
        for place, tag in enumerate(recalled.tags)
        if tag.tag_id in gold
        and recalled.evidence[place, models] > 0
        and not recalled.evidence[place, people]
    )


def _brought(arm: Figures, frozen: Figures) -> float:
    """Share of an arm's right candidates that are no candidates of the frozen graph."""
    brought = sum(
        len(gold.intersection(candidates).difference(before))
        for gold, candidates, before in zip(arm.gold, arm.candidates, frozen.candidates, strict=True)
    )
    return float(brought / arm.right.sum())


def trained_on_history(prepared: Prepared, general: Bundle, scratch: Path) -> Bundle:
    """A bundle whose recall, tagger and calibrator are fitted to the labelled half alone."""
    from streamproc.training.tagger import Plan, train_models  # noqa: PLC0415 - an extra

    train, vectors = prepared.dataset.train, prepared.vectors[Split.TRAIN]
    half = _by_date(prepared)[: len(train) // 2]
    fitted, held = half[:-CALIBRATED_NOTES], half[-CALIBRATED_NOTES:]
    dataset = replace(
        prepared.dataset,
        train=tuple(train[place] for place in fitted),
        valid=tuple(train[place] for place in held),
        test=(),
    )
    history = replace(
        prepared,
        dataset=dataset,
        vectors={Split.TRAIN: vectors[fitted], Split.VALID: vectors[held], Split.TEST: vectors[:0]},
        graph=history_graph(dataset, prepared.tag_vectors, dataset.train, vectors[fitted]),
    )
    thresholds = fit_recall([history], FITTED)
    manifest = train_models(
        [history],
        general,
        scratch,
        thresholds,
        Plan("first-half", notes_a_set=TRAINED_NOTES),
        lambda line: print(line, file=sys.stderr, flush=True),
    )
    manifest = msgspec.structs.replace(
        manifest, recall=recall_fit(thresholds, [f"{prepared.dataset.name}, first half"])
    )
    return Bundle(scratch, write_manifest(scratch, manifest))


def _by_date(prepared: Prepared) -> npt.NDArray[np.int64]:
    train = prepared.dataset.train
    return np.array(sorted(range(len(train)), key=lambda place: train[place].moment), dtype=np.int64)


def report(common: Setting, thresholds: Thresholds) -> None:
    """Print the table of all arms and the comparisons that are asked for."""
    frozen = measure(common, frozen_graph(common), thresholds)
    arms = {"frozen (no write-back)": frozen}
    edges = dict.fromkeys(arms, 0.0)
    for name, written_as in (("guard", Provenance.MODEL), ("no guard", Provenance.HUMAN)):
        for number, streamed in enumerate(passes(common, thresholds, PASSES, written_as), start=1):
            if number in (1, PASSES):
                arms[f"{name}, pass {number}"] = measure(common, streamed.graph, thresholds)
                edges[f"{name}, pass {number}"] = streamed.edges
    arms[CEILING] = measure(common, labelled_graph(common), thresholds)
    edges[CEILING] = sum(len(import_edges(each)) for each in _of_train(common, common.stream)[0]) / len(
        common.stream
    )
    print(
        "| arm | #Right | HR#1 | HR#3 | not among frozen's | only models' edges "
        "| Acc@1 | Coverage@1 | ECE | ECE emitted | tags | edges a streamed note |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name, arm in arms.items():
        share = arm.gained.sum() / arm.right.sum()
        print(
            f"| {name} | {arm.right.mean():.3f} | {hit_rate(arm.right, 1):.3f} | {hit_rate(arm.right, 3):.3f} "
            f"| {_brought(arm, frozen):.1%} | {share:.1%} | {arm.accuracy:.3f} | {arm.coverage:.3f} | {arm.ece:.4f} "
            f"| {arm.ece_emitted:.4f} | {arm.emitted:.2f} | {edges[name]:.2f} |"
        )
    print()
    for name, arm in arms.items():
        if arm is frozen:
            continue
        both = ~np.isnan(arm.first_right) & ~np.isnan(frozen.first_right)
        print(
            f"{name}: #Right {_shown(paired_bootstrap(arm.right, frozen.right))}; "
            f"Acc@1 {arm.accuracy - frozen.accuracy:+.4f}, on the {both.sum()} notes tagged by both "
            f"{_shown(paired_bootstrap(arm.first_right[both], frozen.first_right[both]))}; "
            f"ECE {arm.ece - frozen.ece:+.4f}, of emitted {arm.ece_emitted - frozen.ece_emitted:+.4f}"
        )


def tune(common: Setting, thresholds: Thresholds) -> None:
    """Print #Right, Acc@1 and ECE after one pass for every guard of the grid, against frozen."""
    frozen = measure(common, frozen_graph(common), thresholds)
    for weight, vote in product(TUNED_WEIGHTS, TUNED_VOTES):
        guard = _with_vote(replace(thresholds, min_model_weight=weight), vote)
        (streamed,) = passes(common, guard, 1)
        each = measure(common, streamed.graph, guard)
        print(
            f"min_model_weight {weight:.2f} vote_model {vote:.0f}: "
            f"#Right {_shown(paired_bootstrap(each.right, frozen.right))} "
            f"Acc@1 {each.accuracy - frozen.accuracy:+.4f} ECE {each.ece - frozen.ece:+.4f} "
            f"edges a note {streamed.edges:.2f}",
            flush=True,
        )


def _with_vote(thresholds: Thresholds, weight: float) -> Thresholds:
    return replace(thresholds, fusion=MappingProxyType(dict(thresholds.fusion) | {"vote_model": weight}))


def _shown(difference: Interval) -> str:
    return f"{difference.mean:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"


def main() -> None:
    """Measure the bundle that ships with the package, or another."""
    parser = parser_of(__doc__ or "")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--split", type=Split, default=Split.VALID, choices=[Split.VALID, Split.TEST])
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--train", action="store_true", help="fit the bundle to the labelled half first")
    parser.add_argument("--tune", action="store_true", help="try guards on valid instead of reporting")
    arguments = parser.parse_args()
    if arguments.tune and arguments.split is not Split.VALID:
        parser.error("guards are chosen on valid only")
    general = Bundle.load(arguments.bundle)
    encoder_id = general.manifest.files[general.manifest.encoder.file]
    cache = VectorCache(load_models(general).encoder, encoder_id, Path("~/.cache/streamproc/vectors"))
    prepared = prepare(read_dataset(arguments.dataset), cache)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = (
            trained_on_history(prepared, general, Path(scratch) / "bundle") if arguments.train else general
        )
        models = load_models(bundle)
    common = setting(prepared, models, arguments.split)
    thresholds = Thresholds.of(bundle.manifest.recall)
    trained = ", fitted to the labelled half" if arguments.train else ""
    digest = hashlib.sha256(msgspec.json.encode(bundle.manifest)).hexdigest()[:12]
    print(
        f"{prepared.dataset.name} {arguments.split}: {len(common.history)} labelled, {len(common.stream)} streamed, "
        f"{len(common.scored)} scored; bundle {general.manifest.name}-{general.manifest.version}{trained} "
        f"(manifest {digest}), guard min_model_weight {thresholds.min_model_weight}, "
        f"vote_model {thresholds.fusion.get('vote_model', 0):g}\n",
        flush=True,
    )
    (tune if arguments.tune else report)(common, thresholds)


if __name__ == "__main__":
    run(main)
