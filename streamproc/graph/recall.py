"""Recall: from what the graph found to candidate tags, each with its evidence (LLM4Tag, 3.1).

Three paths lead to a tag. C2T: the tag's vector is near. C2C2T: notes near this one carry it; they
vote, and so do all labelled notes together, by their vectors and by their words. Lexical: its words stand in the note. Edges are read as they were written; redirects and people's
judgements are applied here, at the moment of reading, so that both take effect at once.

The guard against self-reinforcement: only people's words (a judgement, an import, an author's tag) vote.
What models believe of the notes near by, from some confidence on, is tallied apart from it and fills one
column, ``vote_model``, that recall weighs and taggers are not trained on: it can bring a tag to be
considered, never make it look better than people's words do.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from streamproc.events.graph import Provenance
from streamproc.events.note import Note
from streamproc.events.tag import TagChange, TagPolicy
from streamproc.events.tagged import NeighbourEvidence, RecallPath, TagEvidence
from streamproc.graph.discriminant import Likeness
from streamproc.graph.evidence import COLUMN, FEATURES, Neighbourhood, Votes, evidence
from streamproc.graph.hits import Edge, Hits
from streamproc.graph.thresholds import Thresholds
from streamproc.graph.uses import corrected, given_by_people
from streamproc.graph.wording import Wording, words_of
from streamproc.knowledge.lexical import LexicalIndex, LexicalMatch, surface

__all__ = ["Judged", "Recalled", "TagView", "explain", "recall"]

# Scores are rounded before they are compared: sums that differ in the last bits must not change an order.
_DIGITS = 5

# Looking up a member of an enum takes Python 3.11 as long as a turn of the innermost loop.
_HUMAN, _IMPORT, _AUTHOR, _MODEL = Provenance.HUMAN, Provenance.IMPORT, Provenance.AUTHOR, Provenance.MODEL
_MANUAL_ONLY = TagPolicy.MANUAL_ONLY

_SHOWN_NEIGHBOURS = 3
_SHOWN_CHARACTERS = 256


class TagView(Protocol):
    """The tag repository as of one moment."""

    @property
    def lexical(self) -> LexicalIndex:
        """The index over names, synonyms and definitions of its active tags."""
        ...

    def resolve(self, tag_id: str) -> TagChange | None:
        """The active tag that this id stands for, merges followed; None: unknown, deprecated or removed."""
        ...

    def merged(self, tag_id: str) -> Collection[str]:
        """The ids that stand for this tag beside its own: those merged into it, directly or by way of others."""
        ...

    def segment_tags(self, segment_id: str) -> Sequence[str]:
        """Ids of the tags that a passage of knowledge is about; empty where it is unknown."""
        ...


class Judged(Protocol):
    """People's judgements as of one moment."""

    def of(self, note_id: str) -> Mapping[str, bool]:
        """Tag id → whether it is right, for the tags of this note on which people have spoken."""
        ...

    def confirmed(self, tag_id: str) -> int:
        """On how many notes people confirmed this tag."""
        ...


@dataclass(frozen=True, slots=True)
class Recalled:
    """The candidates of a note.

    Attributes:
        tags: the candidates, best first; each once.
        evidence: float32[candidates, features], columns as in ``evidence.FEATURES``.
        judged: what people said of each on this very note; None: nothing.
    """

    tags: tuple[TagChange, ...]
    evidence: npt.NDArray[np.float32]
    judged: tuple[bool | None, ...]
    _rows: tuple[int, ...]
    _pool: "_Pool"


def recall(
    note: Note, hits: Hits, repository: TagView, judgements: Judged, thresholds: Thresholds
) -> Recalled:
    """The candidate tags of a note. A pure function of its arguments.

    Tags that a person confirmed on this very note are always among the candidates, rejected ones never;
    neither are tags of policy ``manual_only``.

    Args:
        note: to be tagged; it never recalls itself.
        hits: what the graph found near it; see ``Thresholds`` for how much to ask for.
        repository: what tags there are; one snapshot for a whole batch.
        judgements: what people said, of the neighbours and of the note itself.
        thresholds: of the bundle in use.
    """
    spoken = judgements.of(note.note_id)
    pool = _Pool(note, hits, repository, spoken, thresholds.min_model_weight)
    _near_tags(pool, thresholds)
    poll = _vote(pool, judgements, thresholds)
    for tag_id, _ in pool.named[: thresholds.max_lexical]:
        pool.row(tag_id)
    likeness, wording = _likeness(pool, thresholds), _wording(pool, thresholds)
    own: dict[int, bool] = {}
    for tag_id, correct in spoken.items():
        row = pool.row(tag_id)
        if row >= 0:
            own[row] = correct
    names = pool.names()
    table = evidence(
        [tag.tag_id for tag in pool.tags],
        cosines=pool.cosines,
        around=poll.neighbourhood(len(pool.tags)),
        words=pool.words,
        passages=_passages(pool, repository),
        likeness=None if likeness is None else likeness.columns(names),
        wording=None if wording is None else wording.columns(names),
        note_words=note.title.count(" ") + note.text.count(" ") + 2,
        sharpness=thresholds.sharpness,
    )
    new = _without_history(pool, judgements, thresholds)
    rows = _choose(pool, table, own, new, thresholds)
    return Recalled(
        tags=tuple([pool.tags[row] for row in rows]),
        evidence=table[rows],
        judged=tuple([own.get(row) for row in rows]),
        _rows=tuple(rows),
        _pool=pool,
    )


def explain(recalled: Recalled, candidate: int) -> tuple[tuple[RecallPath, ...], TagEvidence]:
    """Why a candidate was recalled: the paths that led to it and what stands on them.

    Costs more than recall itself does for a candidate: call it for tags that are emitted.

    Args:
        recalled: of the note.
        candidate: its place in ``recalled.tags``.
    """
    pool, row = recalled._pool, recalled._rows[candidate]  # noqa: SLF001 - one module, one idea
    cosine = pool.cosines.get(row)
    neighbours = tuple(islice(pool.carriers(row), _SHOWN_NEIGHBOURS))
    tag_id = pool.tags[row].tag_id
    span = pool.words.exact.get(tag_id)
    paths = []
    if cosine is not None:
        paths.append(RecallPath.C2T)
    if neighbours or row in pool.likely:  # all labelled notes are neighbours, too far to be named
        paths.append(RecallPath.C2C2T)
    if span is not None or any(tag_id == named for named, _ in pool.named):
        paths.append(RecallPath.LEXICAL)
    return tuple(paths), TagEvidence(
        similarity=None if cosine is None else min(cosine, 1.0),
        neighbours=neighbours,
        match="" if span is None else surface(pool.note.title, pool.note.text, span)[:_SHOWN_CHARACTERS],
        segments=tuple(segment_id for segment_id, rows in pool.passages if row in rows),
    )


class _Voter(NamedTuple):
    """A neighbour that people or models labelled, its edges that count, and what people said of its tags."""

    note_id: str
    similarity: float
    edges: Sequence[Edge]
    spoken: Mapping[str, bool]


class _Pool:
    """Every tag that some path led to, each with a row; grows while the paths are walked."""

    __slots__ = (
        "cosines",
        "hits",
        "least_confidence",
        "likely",
        "named",
        "note",
        "own",
        "passages",
        "repository",
        "rows",
        "tags",
        "voters",
        "words",
    )

    def __init__(
        self,
        note: Note,
        hits: Hits,
        repository: TagView,
        spoken: Mapping[str, bool],
        least_confidence: float,
    ) -> None:
        self.note = note
        self.hits = hits
        self.repository = repository
        self.least_confidence = least_confidence
        self.tags: list[TagChange] = []
        self.rows: dict[str, int] = {}
        self.cosines: dict[int, float] = {}
        self.voters: list[_Voter] = []
        self.passages: list[tuple[str, set[int]]] = []
        self.likely: list[int] = []
        # The tags that people gave this very note, where the graph has it already.
        self.own = _own(note, hits, spoken) if hits.own is None else hits.own
        self.words: LexicalMatch = repository.lexical.match(note.title, note.text)
        exact = self.words.exact
        # Names that stand in the note before words that merely resemble; the title before the text.
        self.named = sorted(
            ((tag_id, 2.0 if span.in_title else 1.0) for tag_id, span in exact.items()),
            key=lambda each: (-each[1], each[0]),
        )
        self.named += [each for each in self.words.best if each[0] not in exact]

    def row(self, tag_id: str) -> int:
        """The row of the tag that an id stands for; -1 for one that cannot be a candidate."""
        row = self.rows.get(tag_id)
        if row is None:
            tag = self.repository.resolve(tag_id)
            if tag is None or tag.policy is _MANUAL_ONLY:
                row = -1
            elif tag.tag_id == tag_id or (row := self.rows.get(tag.tag_id)) is None:
                row = self.rows[tag.tag_id] = len(self.tags)
                self.tags.append(tag)
            self.rows[tag_id] = row
        return row

    def admit_likely(self, tag_ids: Sequence[str]) -> None:
        """Tags that all labelled notes together speak for."""
        for tag_id in tag_ids:
            row = self.row(tag_id)
            if row >= 0 and row not in self.likely:
                self.likely.append(row)

    def names(self) -> list[tuple[str, ...]]:
        """The ids that stand for each tag: its own, then those merged into it."""
        merged = self.repository.merged
        return [(tag.tag_id, *merged(tag.tag_id)) for tag in self.tags]

    def carriers(self, row: int) -> Iterator[NeighbourEvidence]:
        """The neighbours that carry the tag, by a word that counts, nearest first."""
        for note_id, similarity, edges, spoken in self.voters:
            words = [Edge(tag_id, 1.0, Provenance.HUMAN) for tag_id, correct in spoken.items() if correct]
            words += [edge for edge in edges if edge.tag_id not in spoken]
            for tag_id, weight, provenance in words:
                heard = provenance is not Provenance.MODEL or weight >= self.least_confidence
                if heard and weight > 0 and self.rows.get(tag_id) == row:
                    yield NeighbourEvidence(
                        note_id=note_id,
                        similarity=min(similarity, 1.0),
                        weight=min(max(weight, 0.0), 1.0),
                        provenance=provenance,
                    )
                    break


def _own(note: Note, hits: Hits, spoken: Mapping[str, bool]) -> frozenset[str]:
    found = [hit for hit in hits.notes if hit.note_id == note.note_id]
    return corrected(given_by_people(edge for hit in found for edge in hit.edges), spoken if found else {})


def _near_tags(pool: _Pool, thresholds: Thresholds) -> None:
    """C2T: the nearest tags within δ_ct."""
    lowest, cosines = thresholds.delta_content_tag, pool.cosines
    for hit in pool.hits.tags:
        if hit.similarity < lowest or len(cosines) >= thresholds.max_content_tag:
            break
        row = pool.row(hit.tag_id)
        if row >= 0 and row not in cosines:  # a merged tag's vector may be nearer than its successor's
            cosines[row] = hit.similarity


def _likeness(pool: _Pool, thresholds: Thresholds) -> Likeness | None:
    """C2C2T at large: the tags whose labelled notes, all together, are most like this one."""
    found = pool.hits.likeness
    if found is None or not thresholds.max_likely:
        return None
    likeness = found.leaving_out(pool.own)
    pool.admit_likely(likeness.best(thresholds.max_likely))
    return likeness


def _wording(pool: _Pool, thresholds: Thresholds) -> Wording | None:
    """C2C2T by words: the tags whose labelled notes, all together, are worded most like this one."""
    found = pool.hits.wording
    if found is None or not thresholds.max_worded:
        return None
    wording = found.wording(words_of(pool.note)).leaving_out(pool.own)
    pool.admit_likely(wording.best(thresholds.max_worded))
    return wording


class _Ballots:
    """Votes as they are collected: parallel lists, one entry an edge, and the similarity of each voter."""

    __slots__ = ("columns", "masses", "rows", "similarities")

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.columns: list[int] = []
        self.masses: list[float] = []
        self.similarities: list[float] = []

    def cast(self, row: int, mass: float) -> None:
        """A vote of the neighbour that is being heard."""
        self.rows.append(row)
        self.columns.append(len(self.similarities))
        self.masses.append(mass)

    def votes(self, tags: int) -> Votes:
        """The votes as a matrix of this many rows."""
        width = len(self.similarities)
        places = np.array(self.rows, dtype=np.intp) * width + np.array(self.columns, dtype=np.intp)
        mass = np.zeros(tags * width)
        # A neighbour may have a tag twice (by two hands, or by a merge): the weightiest word counts.
        np.maximum.at(mass, places, np.array(self.masses))
        return Votes(np.array(self.similarities), mass.reshape(tags, width))


class _Poll:
    """What was heard of the notes near by: people and models apart."""

    __slots__ = ("against", "for_", "models", "people")

    def __init__(self) -> None:
        self.people = _Ballots()
        self.models = _Ballots()
        self.for_: dict[int, float] = {}
        self.against: dict[int, float] = {}

    def neighbourhood(self, tags: int) -> Neighbourhood:
        """The votes as matrices of this many rows."""
        models = self.models.votes(tags) if self.models.rows else None
        return Neighbourhood(self.people.votes(tags), models, self.for_, self.against)


def _vote(  # noqa: C901, PLR0912 - the innermost loop of recall, kept flat for its speed
    pool: _Pool, judgements: Judged, thresholds: Thresholds
) -> _Poll:
    """C2C2T: the nearest notes within δ_cc that people have labelled vote; models are heard as far as they reach."""
    poll = _Poll()
    people, models = poll.people, poll.models
    rows, columns, masses, reached = people.rows, people.columns, people.masses, people.similarities
    known, admit, voters, spoken_of = pool.rows.get, pool.row, pool.voters, judgements.of
    own_id, lowest, wanted = pool.note.note_id, thresholds.delta_content_content, thresholds.neighbours
    unsure, import_vote, author_vote = (
        thresholds.min_model_weight,
        thresholds.import_vote,
        thresholds.author_vote,
    )
    for hit in pool.hits.notes:
        note_id, similarity = hit.note_id, hit.similarity
        column = len(reached)
        if similarity < lowest or column >= wanted:
            break
        if note_id == own_id:
            continue
        before, before_models = len(rows), len(models.rows)
        spoken = spoken_of(note_id)
        if spoken:
            _hear_people(poll, spoken, similarity, admit)
        for tag_id, weight, provenance in hit.edges:
            # By identity: an enum is hashed in Python, which takes as long as the rest of the turn.
            by_model = provenance is _MODEL
            if by_model:
                mass = weight if weight >= unsure else 0.0
            elif provenance is _IMPORT:
                mass = weight * import_vote
            elif provenance is _AUTHOR:
                mass = weight * author_vote
            else:
                mass = weight if provenance is _HUMAN else 0.0
            if mass <= 0 or (spoken and tag_id in spoken):
                continue
            row = known(tag_id)
            if row is None:
                row = admit(tag_id)
            if row < 0:
                continue
            if by_model:
                models.cast(row, mass)
            else:
                rows.append(row)
                columns.append(column)
                masses.append(mass)
        by_people, by_models = len(rows) > before, len(models.rows) > before_models
        if by_people:
            reached.append(similarity)
        if by_models:
            models.similarities.append(similarity)
        if by_people or by_models:
            voters.append(_Voter(note_id, similarity, hit.edges, spoken))
    return poll


def _hear_people(
    poll: _Poll, spoken: Mapping[str, bool], similarity: float, admit: Callable[[str], int]
) -> None:
    """People's word on a neighbour: a confirmed tag votes in full, a rejected one counts against."""
    for tag_id, correct in spoken.items():
        row = admit(tag_id)
        if row < 0:
            continue
        if correct:
            poll.people.cast(row, 1.0)
            poll.for_.setdefault(row, similarity)
        else:
            poll.against.setdefault(row, similarity)


def _passages(pool: _Pool, repository: TagView) -> dict[int, float]:
    """Row → similarity of the nearest retrieved passage about the tag; brings no tag by itself."""
    nearest: dict[int, float] = {}
    for hit in pool.hits.segments:
        rows = {pool.rows.get(tag_id, -1) for tag_id in repository.segment_tags(hit.segment_id)} - {-1}
        pool.passages.append((hit.segment_id, rows))
        for row in rows:
            nearest.setdefault(row, hit.similarity)
    return nearest


def _choose(
    pool: _Pool,
    table: npt.NDArray[np.float32],
    own: Mapping[int, bool],
    new: Sequence[int],
    thresholds: Thresholds,
) -> list[int]:
    """Rows of the candidates: the union of the paths' shares, ranked by the fused score."""
    tags, rows = pool.tags, pool.rows
    votes = table[:, COLUMN["vote_sharp"]] + table[:, COLUMN["vote_model"]]
    near = list(pool.cosines)
    named = [rows[tag_id] for tag_id, _ in pool.named[: thresholds.max_lexical] if rows[tag_id] >= 0]
    confirmed = [row for row, correct in own.items() if correct]
    if not thresholds.fusion:
        voted = _first(votes, votes > 0, tags, thresholds.max_neighbour_tag)
        in_turn = dict.fromkeys(confirmed + near + voted + named + pool.likely)
        return [row for row in in_turn if own.get(row, True)][: thresholds.candidates]
    union = votes > 0
    if np.count_nonzero(union) > thresholds.max_neighbour_tag:
        voted = _first(votes, union, tags, thresholds.max_neighbour_tag)
        union[:] = False
        union[voted] = True
    union[near + named + pool.likely] = True
    union[list(own)] = False
    reserved = [row for row in near[: thresholds.reserved_content_tag] if row not in own]
    room = thresholds.candidates - len(confirmed)
    scores = table @ _weights(thresholds)
    carried = votes > 0
    carried[pool.likely] = True
    best = _best(scores, union, carried, tags, room, thresholds.carried)
    if new:
        promise = scores + np.float32(thresholds.kin) * _kin(pool, votes, new)
        reserved += _first(promise, union & _mask(new, len(tags)), tags, thresholds.reserved_new_tag)
    missing = [row for row in dict.fromkeys(reserved) if row not in best]
    if missing and len(best) + len(missing) > room:
        best = _spared(best, frozenset(reserved), max(room - len(missing), 0))
    return (confirmed + best + missing)[: thresholds.candidates]


def _spared(best: Sequence[int], reserved: Collection[int], count: int) -> list[int]:
    """The first so many rows, those that are reserved before the others."""
    room = count - sum(row in reserved for row in best)
    kept = []
    for row in best:
        if row in reserved:
            kept.append(row)
        elif room > 0:
            kept.append(row)
            room -= 1
    return kept[:count]


def _without_history(pool: _Pool, judgements: Judged, thresholds: Thresholds) -> list[int]:
    """Rows of the tags, near or named in the note, that people put on few notes or on none, this one not counted."""
    uses, few = pool.hits.uses, thresholds.few_uses
    if uses is None or not thresholds.reserved_new_tag or not thresholds.fusion:
        return []
    tags, rows = pool.tags, pool.rows
    found = {*pool.cosines, *[rows.get(tag_id, -1) for tag_id in pool.words.exact]} - {-1}
    rare = [(row, tag_id) for row in found if uses.get(tag_id := tags[row].tag_id, 0) <= few]
    if not rare:
        return []
    own = pool.own
    new = []
    for row, tag_id in rare:
        names = (tag_id, *pool.repository.merged(tag_id))
        used = sum(uses.get(each, 0) - (each in own) + judgements.confirmed(each) for each in names)
        if used < few:
            new.append(row)
    return new


def _kin(pool: _Pool, votes: npt.NDArray[np.float32], new: Sequence[int]) -> npt.NDArray[np.float32]:
    """The greatest vote for a tag's parent, child or sibling, float32[tags], of tags without a history.

    Nobody can have voted for them themselves; but where parents are published, a new tag stands beside tags in use.
    """
    resolve, tags = pool.repository.resolve, pool.tags

    def family(row: int) -> list[str]:
        """The tag itself and its parents: two tags that have one of them in common are kin."""
        parents = [(resolve(each), each) for each in tags[row].parents]
        return [tags[row].tag_id, *[each if tag is None else tag.tag_id for tag, each in parents]]

    strongest: dict[str, float] = {}
    for row in np.flatnonzero(votes > 0).tolist():
        for each in family(row):
            strongest[each] = max(strongest.get(each, 0.0), float(votes[row]))
    kin = np.zeros(len(tags), dtype=np.float32)
    for row in new:
        kin[row] = max(strongest.get(each, 0.0) for each in family(row))
    return kin


def _best(  # noqa: PLR0917 - what a choice is made of
    scores: npt.NDArray[np.float32],
    among: npt.NDArray[np.bool_],
    voted: npt.NDArray[np.bool_],
    tags: Sequence[TagChange],
    room: int,
    carried: int,
) -> list[int]:
    """The highest scores, at most ``carried`` of them tags that were voted for unless others run out."""
    ranked = _first(scores, among, tags, len(tags))
    if room <= carried:
        return ranked[: max(room, 0)]
    for_it = voted.tolist()
    with_votes = [row for row in ranked if for_it[row]][:room]
    without = [row for row in ranked if not for_it[row]][:room]
    mixed = {*with_votes[:carried], *without}
    kept = set([row for row in ranked if row in mixed][:room])
    kept.update(with_votes[carried : carried + room - len(kept)])
    return [row for row in ranked if row in kept][:room]


def _mask(rows: Collection[int], size: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(size, dtype=np.bool_)
    mask[list(rows)] = True
    return mask


def _weights(thresholds: Thresholds) -> npt.NDArray[np.float32]:
    """The fused score's weight of each column, float32[features]."""
    weights = np.zeros(len(FEATURES), dtype=np.float32)
    for name, weight in thresholds.fusion.items():
        weights[COLUMN[name]] = weight
    return weights


def _first(
    scores: npt.NDArray[np.float32], among: npt.NDArray[np.bool_], tags: Sequence[TagChange], count: int
) -> list[int]:
    """The rows with the highest scores, ties (to five digits) in order of id."""
    rows = np.flatnonzero(among)
    if not rows.size or count <= 0:
        return []
    rounded = np.round(scores[rows].astype(np.float64), _DIGITS)
    if rows.size > count:
        high = rounded >= np.partition(rounded, -count)[-count]
        rows, rounded = rows[high], rounded[high]
    ranked = sorted(
        [(-score, tags[row].tag_id, row) for score, row in zip(rounded.tolist(), rows.tolist(), strict=True)]
    )
    return [row for _, _, row in ranked[:count]]
