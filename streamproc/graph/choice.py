"""Which tags of the pool become candidates: the paths' shares, ranked by the fused score, and the places that are kept."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from streamproc.events.tag import TagChange
from streamproc.graph.evidence import COLUMN, FEATURES
from streamproc.graph.hits import Hits
from streamproc.graph.pool import Pool
from streamproc.graph.sources import Judged
from streamproc.graph.thresholds import Thresholds

__all__ = ["choose", "without_history"]

# Scores are rounded before they are compared: sums that differ in the last bits must not change an order.
_DIGITS = 5


def choose(
    pool: Pool,
    table: npt.NDArray[np.float32],
    own: Mapping[int, bool],
    new: Sequence[int],
    thresholds: Thresholds,
) -> list[int]:
    """Rows of the candidates: the union of the paths' shares, ranked by the fused score.

    Args:
        pool: of the note, every path walked.
        table: float32[tags of the pool, features], columns as in ``evidence.FEATURES``.
        own: row → what people said of it on this very note.
        new: rows of the tags without a history.
        thresholds: how many candidates there are, and who has places among them.
    """
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
    nearest = thresholds.reserved_content_tag + round(thresholds.reserved_unseen * _unseen(pool.hits))
    reserved = [row for row in near[:nearest] if row not in own]
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


def _unseen(hits: Hits) -> float:
    """How probable it is that the next label is of a tag that nobody has used; 0 where the graph cannot tell."""
    if hits.likeness is not None:
        return hits.likeness.discriminant.unseen
    return 1.0 if hits.uses is not None and not hits.uses else 0.0


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


def without_history(pool: Pool, judgements: Judged, thresholds: Thresholds) -> list[int]:
    """Rows of the tags, near or named in the note, that people put on few notes or on none, this one not counted.

    Args:
        pool: of the note, every path walked.
        judgements: a tag that people confirmed has a history.
        thresholds: how many notes are few; none where no places are kept.
    """
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


def _kin(pool: Pool, votes: npt.NDArray[np.float32], new: Sequence[int]) -> npt.NDArray[np.float32]:
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
