"""Recall: from what the graph found to candidate tags, each with its evidence (LLM4Tag, 3.1).

Three paths lead to a tag. C2T: the tag's vector is near. C2C2T: notes near this one carry it; they vote, and so do all
labelled notes together, by their vectors and by their words. Lexical: its words stand in the note. Edges are read as they
were written; redirects and people's judgements are applied here, at the moment of reading, so that both take effect at once.
"""

from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from streamproc.events.note import Note
from streamproc.events.tag import TagChange
from streamproc.events.tagged import RecallPath, TagEvidence
from streamproc.graph.choice import choose, without_history
from streamproc.graph.discriminant import Likeness
from streamproc.graph.evidence import evidence
from streamproc.graph.hits import Hits
from streamproc.graph.pool import Pool
from streamproc.graph.sources import Judged, TagView
from streamproc.graph.thresholds import Thresholds
from streamproc.graph.votes import vote
from streamproc.graph.wording import Wording, words_of
from streamproc.knowledge.lexical import surface

__all__ = ["Recalled", "explain", "recall"]

_SHOWN_NEIGHBOURS = 3
_SHOWN_CHARACTERS = 256


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
    _pool: Pool


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
    pool = Pool(note, hits, repository, spoken, thresholds.min_model_weight)
    _near_tags(pool, thresholds)
    poll = vote(pool, judgements, thresholds)
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
    new = without_history(pool, judgements, thresholds)
    rows = choose(pool, table, own, new, thresholds)
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


def _near_tags(pool: Pool, thresholds: Thresholds) -> None:
    """C2T: the nearest tags within δ_ct."""
    lowest, cosines = thresholds.delta_content_tag, pool.cosines
    for hit in pool.hits.tags:
        if hit.similarity < lowest or len(cosines) >= thresholds.max_content_tag:
            break
        row = pool.row(hit.tag_id)
        if row >= 0 and row not in cosines:  # a merged tag's vector may be nearer than its successor's
            cosines[row] = hit.similarity


def _likeness(pool: Pool, thresholds: Thresholds) -> Likeness | None:
    """C2C2T at large: the tags whose labelled notes, all together, are most like this one."""
    found = pool.hits.likeness
    if found is None or not thresholds.max_likely:
        return None
    likeness = found.leaving_out(pool.own)
    pool.admit_likely(likeness.best(thresholds.max_likely))
    return likeness


def _wording(pool: Pool, thresholds: Thresholds) -> Wording | None:
    """C2C2T by words: the tags whose labelled notes, all together, are worded most like this one."""
    found = pool.hits.wording
    if found is None or not thresholds.max_worded:
        return None
    wording = found.wording(words_of(pool.note)).leaving_out(pool.own)
    pool.admit_likely(wording.best(thresholds.max_worded))
    return wording


def _passages(pool: Pool, repository: TagView) -> dict[int, float]:
    """Row → similarity of the nearest retrieved passage about the tag; brings no tag by itself."""
    nearest: dict[int, float] = {}
    for hit in pool.hits.segments:
        rows = {pool.rows.get(tag_id, -1) for tag_id in repository.segment_tags(hit.segment_id)} - {-1}
        pool.passages.append((hit.segment_id, rows))
        for row in rows:
            nearest.setdefault(row, hit.similarity)
    return nearest
