"""What people's judgements are worth beside imported labels, and what it adds that all labelled notes together hear them.

    python -m benchmarks.judged_history DATASETS_DIR/nyt_keywords … --split valid

Half of train is imported with its labels. The other half was streamed, so it stands in the graph without labels, until
people confirm its tags in ``notes.labels``. Before, recall hears a judgement where it was made on a note near by; now the
counts of uses, the discriminant and the words of all labelled notes hear it, too. The shipped bundle with its own map.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.command import parser_of, run
from streamproc.evaluation.dataset import Dataset, Split, read_dataset
from streamproc.evaluation.experiment import CANDIDATES, Experiment
from streamproc.evaluation.metrics import ndcg_at, precision_at, right_candidates
from streamproc.evaluation.prepared import Prepared, history_graph, prepare
from streamproc.evaluation.vectors import VectorCache
from streamproc.events.label import Judgement
from streamproc.graph.memory import MemoryGraph
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.onnx import load_models
from streamproc.knowledge.judgements import Judgements, JudgementsSnapshot


def main(datasets: list[Path], split: Split) -> None:
    """Print four rows a set."""
    bundle = Bundle.load(default_bundle_path())
    models = load_models(bundle, 2)
    cache = VectorCache(
        models.encoder,
        bundle.manifest.files[bundle.manifest.encoder.file],
        Path("~/.cache/streamproc/vectors"),
        progress=lambda done, total: print(f"encoded {done} of {total}", file=sys.stderr),
    )
    print(f"{'set':16} {'the second half of the history':58} #Right    P@1 nDCG@5", flush=True)
    for directory in datasets:
        prepared = prepare(read_dataset(directory), cache)
        for what, each in histories(prepared):
            experiment = Experiment.of(
                each, models, Thresholds.of(bundle.manifest.recall), split, lambda _: None
            )
            right, first, gain = _figures(experiment)
            print(f"{prepared.dataset.name:16} {what:58} {right:6.3f} {first:6.3f} {gain:6.3f}", flush=True)


def histories(prepared: Prepared) -> Iterator[tuple[str, Prepared]]:
    """The dataset with half of its history imported, the other half labelled in one way after another."""
    labelled = [place for place, each in enumerate(prepared.dataset.train) if each.gold]
    judged = frozenset(np.random.default_rng(0).permutation(labelled)[: len(labelled) // 2].tolist())
    people = judgements(prepared.dataset, judged)
    unlabelled = graph(prepared, judged)
    yield "has no labels", replace(prepared, graph=unlabelled)
    yield "was judged, heard of notes near by", replace(prepared, graph=unlabelled, judgements=people)
    heard = graph(prepared, judged)
    heard.hear(people)
    yield "was judged, heard of all notes", replace(prepared, graph=heard, judgements=people)
    yield "was imported", prepared


def judgements(dataset: Dataset, judged: frozenset[int]) -> JudgementsSnapshot:
    """People confirm all tags of these notes of train."""
    said = Judgements()
    words = [
        (dataset.train[place], tag_id)
        for place in sorted(judged)
        for tag_id in sorted(dataset.train[place].gold)
    ]
    for offset, (each, tag_id) in enumerate(words):
        said.apply(Judgement(note_id=each.note.note_id, tag_id=tag_id, correct=True), 0, offset)
    return said.snapshot()


def graph(prepared: Prepared, unlabelled: frozenset[int]) -> MemoryGraph:
    """The graph of the dataset in which these notes of train have no labels."""
    history = [
        replace(each, gold=frozenset()) if place in unlabelled else each
        for place, each in enumerate(prepared.dataset.train)
    ]
    return history_graph(prepared.dataset, prepared.tag_vectors, history, prepared.vectors[Split.TRAIN])


def _figures(experiment: Experiment) -> tuple[float, float, float]:
    """#Right among 20 candidates, P@1, nDCG@5."""
    hits = experiment.hits()
    some = experiment.recalled(hits, replace(experiment.thresholds, candidates=CANDIDATES))
    gold = [each.gold for each in experiment.notes]
    right = right_candidates([[tag.tag_id for tag in each.tags] for each in some], gold).mean()
    ranked = experiment.scored(experiment.recalled(hits), "tagging").ranked
    return float(right), float(precision_at(ranked, gold, 1).mean()), float(ndcg_at(ranked, gold, 5).mean())


def command() -> None:
    """Read the arguments and measure."""
    parser = parser_of(__doc__)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--split", type=Split, default=Split.TEST)
    given = parser.parse_args()
    main(given.datasets, given.split)


if __name__ == "__main__":
    run(command)
