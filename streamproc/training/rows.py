"""Training rows from labelled history: each note recalled as if it were new, its labels as the truth.

History notes never recall themselves, so a row looks as it will in service. Rows are made under several
conditions (a full history, a thin one, none at all and the first notes of one, one that people have judged, one tagged in part by
its authors, tags that nobody has used yet, tags that the repository lacks, repositories of a few tags), so that the models carry over
to graphs that look different.

No condition has notes that models labelled: ``vote_model`` never varies, so the models cannot learn from
it, and what they once emitted does not make them surer of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import chain, product
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from streamproc.evaluation.dataset import LabelledNote, Split
from streamproc.evaluation.prepared import (
    NO_JUDGEMENTS,
    Prepared,
    history_graph,
    recall_all,
    with_history,
    without_tags,
)
from streamproc.events.graph import Provenance
from streamproc.graph.discriminant import LIKENESS
from streamproc.graph.evidence import COLUMN, FEATURES
from streamproc.graph.hits import Edge
from streamproc.graph.memory import MemoryGraph
from streamproc.graph.sources import Judged
from streamproc.graph.thresholds import Thresholds
from streamproc.graph.wording import WORDING
from streamproc.inference.protocols import CandidateTag, Float32
from streamproc.inference.text import note_text

__all__ = [
    "VOTE_COLUMNS",
    "Rows",
    "history_rows",
    "join",
    "rows_of",
    "valid_rows",
    "varied_rows",
    "with_rejections",
    "without_votes",
]

Random = np.random.Generator

VOTE_COLUMNS = [
    column
    for name, column in COLUMN.items()
    if name in {"best_neighbour", "mean_neighbour"}
    or name.startswith("vote_")
    or (name in {*LIKENESS, *WORDING} and name not in {"likeness_gap", "wording_gap", "outlying"})
]
"""Evidence that a tag which nobody has used yet cannot have."""

# Conditions beside the full history, and how many notes are drawn for each, as a share of its notes.
_VARIED_SHARE = 0.25

_THIN_SHARES = (0.03, 0.2)  # of the history that is left
_AUTHORS_SHARE = 0.4  # of notes that have their authors' own tags only
_AUTHORS_WRONG = 0.15  # of those tags
_AUTHORS_MISSING = 0.5  # of the tags that such a note should have
_JUDGED_SHARE = 0.15  # of notes on which people have spoken
_REJECTED_WRONG = 0.3  # of wrong candidates that people rejected on a note near by
_REJECTED_RIGHT = 0.1  # and of right ones
_UNUSED_SHARE = 0.05  # of the tags that nobody has used yet
_FIRST_NOTES = (0, 10, 25, 50, 100, 200, 400, 800, 1600, 3200)  # of histories that have only begun
_FIRST_UNUSED = (0.2, 0.5, 0.8)  # of the tags that nobody has used yet, where the others have a history
_SMALL_TAGS = (4, 8, 16, 32)  # of repositories of a few tags
_SMALL_NOTES = (0, 40)  # of their histories
_FIRST_SHARE = 0.07  # notes drawn for each of these conditions
_MISSING_SHARE = 0.15  # of the tags that the repository lacks
_MISSING_DRAWS = 4  # of such tags; each draw gives as many notes as another condition
_NEW_TAG_SHARE = 0.08  # of rows whose tag nobody has used yet


@dataclass(frozen=True, slots=True)
class Rows:
    """Candidates with their evidence and truth.

    Attributes:
        evidence: float32[rows, features].
        right: float32[rows], 1 where the tag is right.
        note: int64[rows], the note that each row belongs to; a note's rows stand together.
        tags: the tag of each row.
        texts: the text of each note, as the models read it.
        note_ids: of each note.
    """

    evidence: Float32
    right: Float32
    note: npt.NDArray[np.int64]
    tags: tuple[CandidateTag, ...]
    texts: tuple[str, ...]
    note_ids: tuple[str, ...]

    def of_notes(self, chosen: npt.NDArray[np.bool_]) -> "Rows":
        """The rows of some notes, which keep their numbers.

        Args:
            chosen: bool[notes].
        """
        rows = np.flatnonzero(chosen[self.note])
        return replace(
            self,
            evidence=self.evidence[rows],
            right=self.right[rows],
            note=self.note[rows],
            tags=tuple([self.tags[row] for row in rows]),
        )


def join(parts: Sequence[Rows]) -> Rows:
    """All rows, the notes of different parts kept apart."""
    starts = np.cumsum([0, *(len(part.texts) for part in parts)])
    return Rows(
        evidence=np.concatenate([part.evidence for part in parts]),
        right=np.concatenate([part.right for part in parts]),
        note=np.concatenate([part.note + start for part, start in zip(parts, starts, strict=False)]),
        tags=tuple(chain.from_iterable(part.tags for part in parts)),
        texts=tuple(chain.from_iterable(part.texts for part in parts)),
        note_ids=tuple(chain.from_iterable(part.note_ids for part in parts)),
    )


def rows_of(
    prepared: Prepared,
    notes: Sequence[LabelledNote],
    vectors: Float32,
    thresholds: Thresholds,
    *,
    graph: MemoryGraph | None = None,
    judgements: Judged = NO_JUDGEMENTS,
) -> Rows:
    """Recall each note and label its candidates.

    Args:
        prepared: the dataset.
        notes: to be recalled; those of the history do not recall themselves.
        vectors: float32[notes, dimension].
        thresholds: of recall.
        graph: None: that of the dataset, with the whole of train as history.
        judgements: of people, on notes of the history.
    """
    hits = (graph or prepared.graph).nearest(
        vectors, tags=thresholds.nearest_tags, notes=thresholds.nearest_notes
    )
    recalled = recall_all(notes, hits, prepared.repository, thresholds, judgements)
    right = [
        tag.tag_id in each.gold for each, found in zip(notes, recalled, strict=True) for tag in found.tags
    ]
    empty = np.zeros((0, len(FEATURES)), dtype=np.float32)
    return Rows(
        evidence=np.concatenate([empty, *(found.evidence for found in recalled)]),
        right=np.array(right, dtype=np.float32),
        note=np.repeat(np.arange(len(notes)), [len(found.tags) for found in recalled]),
        tags=tuple(
            CandidateTag(tag.tag_id, tag.name, tag.description) for found in recalled for tag in found.tags
        ),
        texts=tuple(note_text(each.note) for each in notes),
        note_ids=tuple(each.note.note_id for each in notes),
    )


def history_rows(prepared: Prepared, thresholds: Thresholds, random: Random, most: int) -> Rows:
    """Rows of up to ``most`` labelled notes of train, drawn at random, under its full history."""
    notes, vectors = _draw(prepared, random, most)
    return rows_of(prepared, notes, vectors, thresholds)


def valid_rows(prepared: Prepared, thresholds: Thresholds, random: Random, most: int = 1000) -> Rows:
    """Rows of up to ``most`` labelled notes of valid, under the whole of train as history."""
    valid = prepared.dataset.valid
    places = random.permutation(_places(each.gold for each in valid))[:most]
    return rows_of(
        prepared, [valid[place] for place in places], prepared.vectors[Split.VALID][places], thresholds
    )


def varied_rows(prepared: Prepared, thresholds: Thresholds, random: Random, most: int) -> Rows:
    """Rows under a full history and under every other condition: see the head of this module."""
    few = max(int(most * _VARIED_SHARE), 1)
    parts = [history_rows(prepared, thresholds, random, most)]
    for share in _THIN_SHARES:
        notes, vectors = _draw(prepared, random, few)
        parts.append(rows_of(prepared, notes, vectors, thresholds, graph=_thinned(prepared, share, random)))
    notes, vectors = _draw(prepared, random, few)
    judged = rows_of(prepared, notes, vectors, thresholds, judgements=_Judges(prepared, random))
    parts.append(with_rejections(judged, random))
    notes, vectors = _draw(prepared, random, few)
    parts.append(rows_of(prepared, notes, vectors, thresholds, graph=_tagged_by_authors(prepared, random)))
    notes, vectors = _draw(prepared, random, few)
    unused = _unused(prepared, _some_tags(prepared, random, _UNUSED_SHARE))
    parts.append(rows_of(unused, notes, vectors, thresholds))
    for _ in range(_MISSING_DRAWS):
        gone = _some_tags(prepared, random, _MISSING_SHARE)
        notes, vectors = _draw(prepared, random, few, having=gone)
        parts.append(rows_of(without_tags(prepared, gone), notes, vectors, thresholds))
    fewer = max(int(most * _FIRST_SHARE), 1)
    parts += _first_days(prepared, thresholds, random, fewer)
    parts += _few_tags(prepared, thresholds, random, fewer)
    return join(parts)


def _first_days(prepared: Prepared, thresholds: Thresholds, random: Random, most: int) -> list[Rows]:
    """Rows under histories that have only begun, and under such as know but some of the tags.

    There a tag that nobody has used is as likely to be right as one that some have, which no full history teaches.
    """
    parts = []
    labelled = _places(each.gold for each in prepared.dataset.train)
    for count in _FIRST_NOTES:
        if count < len(labelled):
            graph = _history_of(prepared, np.sort(random.permutation(labelled)[:count]))
            notes, vectors = _draw(prepared, random, most)
            parts.append(rows_of(prepared, notes, vectors, thresholds, graph=graph))
    for share in _FIRST_UNUSED:
        notes, vectors = _draw(prepared, random, most)
        unused = _unused(prepared, _some_tags(prepared, random, share))
        parts.append(rows_of(unused, notes, vectors, thresholds))
    return parts


def _few_tags(prepared: Prepared, thresholds: Thresholds, random: Random, most: int) -> list[Rows]:
    """Rows under repositories of a few tags, of notes of which a quarter has none of them."""
    parts = []
    train = prepared.dataset.train
    used = sorted({tag_id for each in train for tag_id in each.gold})
    every = frozenset(tag.tag_id for tag in prepared.dataset.tags)
    for count, size in product([count for count in _SMALL_TAGS if count < len(used)], _SMALL_NOTES):
        kept = frozenset(used[place] for place in random.permutation(len(used))[:count])
        small = without_tags(prepared, every - kept)
        labelled = _places(each.gold for each in small.dataset.train)
        graph = _history_of(small, np.sort(random.permutation(labelled)[:size]))
        notes, vectors = _draw(small, random, 3 * most // 4)
        others = _places(each.gold and not each.gold & kept for each in train)
        strangers = random.permutation(others)[: most // 4]
        notes += [replace(train[place], gold=frozenset()) for place in strangers]
        vectors = np.concatenate([vectors, prepared.vectors[Split.TRAIN][strangers]])
        parts.append(rows_of(small, notes, vectors, thresholds, graph=graph))
    return parts


def without_votes(rows: Rows, random: Random, share: float = _NEW_TAG_SHARE) -> Rows:
    """Some rows as if nobody had used their tag yet: no neighbour has it."""
    evidence = rows.evidence.copy()
    new = np.flatnonzero(random.random(len(evidence)) < share)
    for name in ("likeness", "wording"):
        evidence[new, COLUMN[f"{name}_gap"]] -= evidence[new, COLUMN[name]]
    evidence[new[:, None], VOTE_COLUMNS] = 0
    return replace(rows, evidence=evidence)


def with_rejections(rows: Rows, random: Random) -> Rows:
    """Some candidates as if people had rejected the tag on a note near by.

    Labelled data do not tell what a rejection is worth: a wrong tag that stands high for a note stands high for those around
    it, and is right for some of them, so that drawing rejections from a note's own candidates would make them speak for a
    tag. What is assumed in its place: a rejection near by divides the odds by three.
    """
    share = np.where(rows.right > 0, _REJECTED_RIGHT, _REJECTED_WRONG)
    rejected = np.flatnonzero(random.random(len(share)) < share)
    evidence = rows.evidence.copy()
    far, near = evidence[rejected, COLUMN["near_50"]], evidence[rejected, COLUMN["nearest_note"]]
    evidence[rejected, COLUMN["judged_against"]] = far + random.random(len(rejected)) * (near - far)
    return replace(rows, evidence=evidence)


def _places(wanted: Iterable[object]) -> npt.NDArray[np.int64]:
    """int64[places]: where something is wanted."""
    return np.array([place for place, each in enumerate(wanted) if each], dtype=np.int64)


def _some_tags(prepared: Prepared, random: Random, share: float) -> frozenset[str]:
    """A share of the tags that have a history."""
    used = sorted({tag_id for each in prepared.dataset.train for tag_id in each.gold})
    count = max(round(share * len(used)), 1)
    return frozenset(used[place] for place in random.permutation(len(used))[:count])


def _unused(prepared: Prepared, tags: AbstractSet[str]) -> Prepared:
    """The dataset as if nobody had used these tags yet."""
    return with_history(prepared, [replace(each, gold=each.gold - tags) for each in prepared.dataset.train])


def _draw(
    prepared: Prepared, random: Random, most: int, *, having: AbstractSet[str] | None = None
) -> tuple[list[LabelledNote], Float32]:
    """Labelled notes of train at random; about half of them with one of these tags, if any are named."""
    train = prepared.dataset.train
    places = random.permutation(_places(each.gold for each in train))
    if having is not None:
        with_them = [place for place in places if train[place].gold & having][: most // 2]
        others = [place for place in places if not train[place].gold & having][: most - len(with_them)]
        places = np.array([*with_them, *others], dtype=np.int64)
    places = places[:most]
    return [train[place] for place in places], prepared.vectors[Split.TRAIN][places]


def _thinned(prepared: Prepared, share: float, random: Random) -> MemoryGraph:
    return _history_of(prepared, np.flatnonzero(random.random(len(prepared.dataset.train)) < share))


def _history_of(prepared: Prepared, places: npt.NDArray[np.int64]) -> MemoryGraph:
    """The graph with these notes of train as its history."""
    train = prepared.dataset.train
    return history_graph(
        prepared.dataset,
        prepared.tag_vectors,
        [train[place] for place in places],
        prepared.vectors[Split.TRAIN][places],
    )


def _tagged_by_authors(prepared: Prepared, random: Random) -> MemoryGraph:
    """A history of which a part has its authors' tags: few, and some of them wrong."""
    train = prepared.dataset.train
    graph = history_graph(prepared.dataset, prepared.tag_vectors, train, prepared.vectors[Split.TRAIN])
    used = [sorted(each.gold) for each in train]
    for place in np.flatnonzero(random.random(len(train)) < _AUTHORS_SHARE):
        edges = []
        for tag_id in used[place]:
            others = used[random.integers(len(used))] if random.random() < _AUTHORS_WRONG else None
            if random.random() >= _AUTHORS_MISSING:
                edges.append(Edge(others[0] if others else tag_id, 1.0, Provenance.AUTHOR))
        graph.relabel(int(place), tuple(edges))
    return graph


class _Judges:
    """People who confirm the right tags of some notes."""

    def __init__(self, prepared: Prepared, random: Random) -> None:
        self._words = {
            each.note.note_id: MappingProxyType(dict.fromkeys(sorted(each.gold), True))
            for each in prepared.dataset.train
            if random.random() < _JUDGED_SHARE
        }

    def of(self, note_id: str) -> Mapping[str, bool]:
        return self._words.get(note_id, _NOTHING)

    def confirmed(self, tag_id: str) -> int:
        return sum(words.get(tag_id, False) for words in self._words.values())


_NOTHING: Mapping[str, bool] = MappingProxyType({})
