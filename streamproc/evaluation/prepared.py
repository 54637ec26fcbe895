"""A dataset made ready: its repository, its history as an exact graph, the vectors of its notes."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from types import MappingProxyType

from streamproc.evaluation.dataset import Dataset, LabelledNote, Split
from streamproc.evaluation.vectors import VectorCache
from streamproc.events.graph import Provenance
from streamproc.events.tag import TagChange
from streamproc.graph.hits import Edge, Hits
from streamproc.graph.memory import MemoryGraph
from streamproc.graph.recall import Recalled, recall
from streamproc.graph.sources import Judged, TagView
from streamproc.graph.thresholds import Thresholds
from streamproc.graph.wording import words_of
from streamproc.inference.protocols import Float32
from streamproc.inference.text import note_text, tag_text
from streamproc.knowledge.lexical import LexicalIndex
from streamproc.knowledge.repository import Repository, RepositorySnapshot

__all__ = [
    "NO_JUDGEMENTS",
    "Prepared",
    "history_graph",
    "import_edges",
    "prepare",
    "recall_all",
    "with_history",
    "with_tags",
    "without_tags",
]


class _DatasetTags:
    """The repository of a dataset, which comes without passages of knowledge."""

    def __init__(self, snapshot: RepositorySnapshot) -> None:
        self.resolve = snapshot.resolve
        self.merged = snapshot.merged
        self.lexical: LexicalIndex = snapshot.lexical

    def segment_tags(self, _segment_id: str) -> Sequence[str]:
        return ()


class _Rejections:
    """What people rejected on notes of the history. What they confirmed stands in the graph as its edges."""

    def __init__(self, history: Sequence[LabelledNote]) -> None:
        self._words = {
            each.note.note_id: MappingProxyType(dict.fromkeys(sorted(each.rejected), False))
            for each in history
            if each.rejected
        }

    def of(self, note_id: str) -> Mapping[str, bool]:
        return self._words.get(note_id, _NOTHING)

    def confirmed(self, _tag_id: str) -> int:
        return 0


_NOTHING: Mapping[str, bool] = MappingProxyType({})

NO_JUDGEMENTS: Judged = _Rejections(())
"""Nobody has spoken."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A dataset with everything that recall needs.

    Attributes:
        dataset: its notes and tags.
        repository: the tags, as recall sees them.
        tag_vectors: float32[tags, dimension].
        vectors: of each file's notes, float32[notes, dimension].
        graph: tags and, as history, train.
        judgements: what people rejected on the notes of the history. A note of train that is recalled as if it were
            new must not see its own: give ``recall_all`` others then.
    """

    dataset: Dataset
    repository: TagView
    tag_vectors: Float32
    vectors: Mapping[Split, Float32]
    graph: MemoryGraph
    judgements: Judged = NO_JUDGEMENTS


def prepare(dataset: Dataset, cache: VectorCache) -> Prepared:
    """Encode a dataset (or read its vectors from the cache) and lay train out as history."""
    tag_vectors = cache.vectors([tag_text(tag) for tag in dataset.tags])
    vectors = {
        split: cache.vectors([note_text(each.note) for each in dataset.split(split)]) for split in Split
    }
    return _laid_out(dataset, tag_vectors, vectors)


def with_history(prepared: Prepared, train: Sequence[LabelledNote]) -> Prepared:
    """The same notes of the history with other labels; a note that loses its last one leaves the history.

    Args:
        prepared: the dataset.
        train: its train, note by note, with other gold tags.
    """
    kept = [
        place
        for place, (before, after) in enumerate(zip(prepared.dataset.train, train, strict=True))
        if after.gold or after.rejected or not before.gold
    ]
    dataset = replace(prepared.dataset, train=tuple(train[place] for place in kept))
    vectors = {**prepared.vectors, Split.TRAIN: prepared.vectors[Split.TRAIN][kept]}
    return _laid_out(dataset, prepared.tag_vectors, vectors)


def with_tags(prepared: Prepared, tags: Sequence[TagChange], tag_vectors: Float32) -> Prepared:
    """The same notes under another repository; labels outside it are ignored as recall ignores unknown tags.

    Args:
        prepared: the dataset.
        tags: of the repository.
        tag_vectors: float32[tags, dimension].
    """
    return _laid_out(replace(prepared.dataset, tags=tuple(tags)), tag_vectors, prepared.vectors)


def without_tags(prepared: Prepared, gone: AbstractSet[str]) -> Prepared:
    """The dataset as if these tags had never been; notes of the history that had no other are nobody's neighbours."""
    kept = [place for place, tag in enumerate(prepared.dataset.tags) if tag.tag_id not in gone]
    unlabelled = [replace(each, gold=each.gold - gone) for each in prepared.dataset.train]
    return with_tags(
        with_history(prepared, unlabelled),
        [prepared.dataset.tags[place] for place in kept],
        prepared.tag_vectors[kept],
    )


def _laid_out(dataset: Dataset, tag_vectors: Float32, vectors: Mapping[Split, Float32]) -> Prepared:
    return Prepared(
        dataset,
        _DatasetTags(Repository.of(dataset.tags).snapshot()),
        tag_vectors,
        vectors,
        history_graph(dataset, tag_vectors, dataset.train, vectors[Split.TRAIN]),
        _Rejections(dataset.train),
    )


def import_edges(note: LabelledNote) -> tuple[Edge, ...]:
    """The edges of a labelled note of the history."""
    return tuple(Edge(tag_id, 1.0, Provenance.IMPORT) for tag_id in sorted(note.gold))


def history_graph(
    dataset: Dataset, tag_vectors: Float32, history: Sequence[LabelledNote], vectors: Float32
) -> MemoryGraph:
    """A graph of the dataset's tags and these labelled notes.

    Args:
        dataset: whose tags.
        tag_vectors: float32[tags, dimension].
        history: notes with their labels.
        vectors: float32[history, dimension].
    """
    return MemoryGraph(
        tag_ids=[tag.tag_id for tag in dataset.tags],
        tag_vectors=tag_vectors,
        note_ids=[each.note.note_id for each in history],
        note_vectors=vectors,
        edges=[import_edges(each) for each in history],
        words=[words_of(each.note) for each in history],
    )


def recall_all(
    notes: Sequence[LabelledNote],
    hits: Sequence[Hits],
    repository: TagView,
    thresholds: Thresholds,
    judgements: Judged = NO_JUDGEMENTS,
) -> list[Recalled]:
    """Recall for each note; ``hits`` in the order of the notes."""
    return [
        recall(each.note, found, repository, judgements, thresholds)
        for each, found in zip(notes, hits, strict=True)
    ]
