"""The evidence of candidate tags: one fixed-length vector each, and the same in words for people.

Every number is absolute: it would be the same had other tags been recalled beside this one. Votes are
shares over neighbours and nearness one over the nearest tags of the repository, never over candidates, and
nothing is a rank. So what a model makes of a candidate depends neither on the order nor on the company of the others.

What models wrote back stands in ``vote_model`` and changes no other column.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamproc.errors import BundleError
from streamproc.graph.discriminant import LIKENESS
from streamproc.graph.wording import WORDING
from streamproc.knowledge.lexical import LexicalMatch

__all__ = ["COLUMN", "FEATURES", "VOTE_SIZES", "Neighbourhood", "Votes", "check_readable", "evidence"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

VOTE_SIZES = (1, 3, 10, 30, 50)
"""Neighbourhoods over which shares of votes are taken; the widest stands in for the tag's frequency."""

_SHARPNESS_MODELS = 20.0  # models label most notes: only those that are nearest of all tell anything new
_SHARPNESS_LOW = 6.0  # between the plain share and the fitted sharpness, so that both scales can be weighed
_NEAR_SOFT, _NEAR_SHARP = 8.0, 30.0  # likewise, of tags: cosines of the nearest lie within some tenths

FEATURES = (
    "cosine",  # of the note's and the tag's vectors; 0 where the tag was not among the nearest
    "cosine_known",  # 1 where it was
    "best_neighbour",  # similarity of the nearest voting note that has the tag
    "mean_neighbour",  # mean similarity of the voting notes that have it
    *(f"vote_{size}" for size in VOTE_SIZES),  # share of the votes of that many nearest notes
    "vote_soft",  # share of all votes, each weighed by exp(6 × similarity)
    "vote_sharp",  # likewise with the fitted sharpness
    "vote_model",  # confidence of models in it, as a share of all that were heard; for recall alone
    "judged_for",  # similarity of the nearest note on which a person confirmed the tag
    "judged_against",  # likewise, rejected
    "exact_title",  # 1 where a name or synonym stands in the title
    "exact_text",  # log(1 + times) it stands in the text
    "bm25",  # log(1 + BM25) of the note's words against name, synonyms and definition
    "name_rarity",  # summed idf of the words of its name that the note has, over 10
    "name_share",  # their share of the name's words
    "passage",  # highest similarity of a retrieved passage of knowledge about the tag
    "nearest_note",  # similarity of the nearest voting note
    "near_10",  # mean similarity of the 10 nearest
    "near_50",  # and of the 50 nearest
    "voters",  # log(1 + summed weight of the voting notes)
    "tags_a_note",  # log of how many tags the voting notes have on average
    "agreement",  # probability that two voting notes, drawn by weight, were given the same tag
    "note_words",  # log(1 + words of the note)
    *LIKENESS,  # what all labelled notes together say: see ``discriminant.Likeness.columns``
    *WORDING,  # what their words say: see ``wording.Wording.columns``
    "cosine_gap",  # cosine, less that of the nearest tag of the repository; the lowest of the near tags' for one that is not near
    "cosine_soft",  # share of the near tags, each weighed by exp(8 × cosine)
    "cosine_sharp",  # likewise by exp(30 × cosine)
)
"""Names of the columns, in order. A bundle's tagger records the names it was trained on and reads the first so many: columns
are added at the end only, so that older bundles keep working."""

COLUMN = {name: column for column, name in enumerate(FEATURES)}
"""Name of a column → its place."""

# Columns that are filled together stand together.
_SHARES = slice(COLUMN["vote_1"], COLUMN["vote_sharp"] + 1)
_NAMED = slice(COLUMN["bm25"], COLUMN["name_share"] + 1)
_AROUND = slice(COLUMN["nearest_note"], COLUMN["agreement"] + 1)
_LIKENESS = slice(COLUMN[LIKENESS[0]], COLUMN[LIKENESS[-1]] + 1)
_WORDING = slice(COLUMN[WORDING[0]], COLUMN[WORDING[-1]] + 1)
_GAP, _SOFT, _SHARP = COLUMN["cosine_gap"], COLUMN["cosine_soft"], COLUMN["cosine_sharp"]


def check_readable(features: Sequence[str]) -> None:
    """Make sure that a tagger reads what is gathered: the first so many columns.

    Raises:
        BundleError: it was trained on other evidence.
    """
    if tuple(features) != FEATURES[: len(features)]:
        raise BundleError(
            "the bundle's tagger was trained on other evidence than this version of streamproc gathers; "
            "train it anew or use the bundle that ships with the package"
        )


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes of some neighbours; rows of ``mass`` follow the tags of the pool.

    Attributes:
        similarities: float64[neighbours], nearest first.
        mass: float64[tags, neighbours], how much each neighbour's word on each tag weighs.
    """

    similarities: Float64
    mass: Float64


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What was said of the notes around a note.

    Attributes:
        people: the votes of notes that people have labelled.
        models: models' confidence in the tags of the notes that they have labelled; None: there are none.
        judged_for: row → similarity of the nearest neighbour on which a person confirmed the tag.
        judged_against: likewise, rejected.
    """

    people: Votes
    models: Votes | None
    judged_for: dict[int, float]
    judged_against: dict[int, float]


def evidence(
    tag_ids: Sequence[str],
    *,
    cosines: dict[int, float],
    around: Neighbourhood,
    words: LexicalMatch,
    passages: dict[int, float],
    likeness: Float64 | None,
    wording: Float64 | None,
    note_words: int,
    sharpness: float,
) -> Float32:
    """The evidence of each tag of the pool.

    Args:
        tag_ids: the pool.
        cosines: row → cosine of note and tag, where known.
        around: the votes.
        words: what the note's words have in common with the tags.
        passages: row → similarity of the nearest passage about the tag.
        likeness: float64[tags, columns of ``LIKENESS``]; None: no note was labelled.
        wording: float64[tags, columns of ``WORDING``]; None: likewise.
        note_words: length of the note.
        sharpness: of ``vote_sharp``.

    Returns:
        float32[tags, features], columns as in ``FEATURES``.
    """
    count = len(tag_ids)
    table = np.zeros((count, len(FEATURES)), dtype=np.float32)
    if not count:
        return table
    if cosines:
        rows = list(cosines)
        table[rows, COLUMN["cosine"]] = list(cosines.values())
        table[rows, COLUMN["cosine_known"]] = 1
        _nearness(table, rows)
    if around.people.similarities.size:
        _votes(table, around.people, sharpness)
    if around.models is not None:
        table[:, COLUMN["vote_model"]] = _tally(around.models, around.people)
    for name, nearest in (
        ("judged_for", around.judged_for),
        ("judged_against", around.judged_against),
        ("passage", passages),
    ):
        for row, similarity in nearest.items():
            table[row, COLUMN[name]] = similarity
    _words(table, tag_ids, words)
    table[:, COLUMN["note_words"]] = np.log1p(note_words)
    if likeness is not None:
        table[:, _LIKENESS] = likeness
    if wording is not None:
        table[:, _WORDING] = wording
    return table


def _nearness(table: Float32, near: list[int]) -> None:
    """How each tag's cosine stands among those of the repository's nearest, whose rows are ``near``.

    A cosine of .3 is much among a handful of tags and little among thousands.
    """
    cosines = table[near, COLUMN["cosine"]].astype(np.float64)
    apart = cosines - cosines.max()
    table[:, _GAP] = apart.min()
    table[near, _GAP] = apart
    for column, sharpness in ((_SOFT, _NEAR_SOFT), (_SHARP, _NEAR_SHARP)):
        weights = np.exp(sharpness * apart)
        table[near, column] = weights / weights.sum()


def _tally(models: Votes, people: Votes) -> Float64:
    """Models' word on each tag, float64[tags]; people's votes count in the whole, but for no tag."""
    weights = np.exp(_SHARPNESS_MODELS * (models.similarities - 1))
    whole = weights.sum() + np.exp(_SHARPNESS_MODELS * (people.similarities - 1)).sum()
    share: Float64 = models.mass @ weights / whole
    return share


def _votes(table: Float32, votes: Votes, sharpness: float) -> None:
    similarities, mass = votes.similarities, votes.mass
    count = similarities.size
    weights = np.empty((count, len(VOTE_SIZES) + 2))
    weights[:, : len(VOTE_SIZES)] = _FIRST[:count] if count <= len(_FIRST) else _first(count)
    nearer = similarities - similarities[0]
    weights[:, -2] = np.exp(_SHARPNESS_LOW * nearer)
    weights[:, -1] = np.exp(sharpness * nearer)
    voices = mass.max(axis=0)  # a neighbour whose word weighs less counts less, also in the whole
    totals = voices @ weights
    shares = (mass @ weights) / totals
    table[:, _SHARES] = shares
    carries = mass > 0
    alike = carries * similarities
    table[:, COLUMN["best_neighbour"]] = alike.max(axis=1)
    carriers = carries.sum(axis=1)
    table[:, COLUMN["mean_neighbour"]] = alike.sum(axis=1) / np.maximum(carriers, 1)
    table[:, _AROUND] = (
        similarities[0],
        similarities[:10].mean(),
        similarities.mean(),
        np.log1p(voices.sum()),
        np.log(max(float(carriers.sum()) / count, 1.0)),
        min(float(np.square(shares[:, -2]).sum()), 1.0),
    )


def _first(count: int) -> Float64:
    """float64[count, sizes]: 1 for the first of each neighbourhood's size."""
    return (np.arange(count)[:, None] < np.array(VOTE_SIZES)).astype(np.float64)


_FIRST = _first(64)


def _words(table: Float32, tag_ids: Sequence[str], words: LexicalMatch) -> None:
    exact, in_text = words.exact, words.in_text
    if exact:
        for row, tag_id in enumerate(tag_ids):
            span = exact.get(tag_id)
            if span is not None:
                table[row, COLUMN["exact_title"]] = span.in_title
                table[row, COLUMN["exact_text"]] = np.log1p(in_text.get(tag_id, 0))
    columns = words.columns(tag_ids)
    np.log1p(columns[:, 0], out=columns[:, 0])
    columns[:, 1] *= 0.1
    table[:, _NAMED] = columns
