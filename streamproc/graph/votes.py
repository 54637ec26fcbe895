"""The vote of the notes near by (C2C2T; LLM4Tag, 3.1), people and models heard apart.

The guard against self-reinforcement: only people's words (a judgement, an import, an author's tag) vote.
What models believe of the notes near by, from some confidence on, is tallied apart from it and fills one
column, ``vote_model``, that recall weighs and taggers are not trained on: it can bring a tag to be
considered, never make it look better than people's words do.
"""

from collections.abc import Callable, Mapping

import numpy as np

from streamproc.events.graph import Provenance
from streamproc.graph.evidence import Neighbourhood, Votes
from streamproc.graph.pool import Pool, Voter
from streamproc.graph.sources import Judged
from streamproc.graph.thresholds import Thresholds

__all__ = ["Poll", "vote"]

# Looking up a member of an enum takes Python 3.11 as long as a turn of the innermost loop.
_HUMAN, _IMPORT, _AUTHOR, _MODEL = Provenance.HUMAN, Provenance.IMPORT, Provenance.AUTHOR, Provenance.MODEL


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


class Poll:
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


def vote(  # noqa: C901, PLR0912 - the innermost loop of recall, kept flat for its speed
    pool: Pool, judgements: Judged, thresholds: Thresholds
) -> Poll:
    """C2C2T: the nearest notes within δ_cc that people have labelled vote; models are heard as far as they reach.

    Args:
        pool: of the note; the tags that are voted for, and their voters, are added to it.
        judgements: of people, on the notes near by: they stand before the edges.
        thresholds: how near, how many, and what each hand's word weighs.
    """
    poll = Poll()
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
            voters.append(Voter(note_id, similarity, hit.edges, spoken))
    return poll


def _hear_people(
    poll: Poll, spoken: Mapping[str, bool], similarity: float, admit: Callable[[str], int]
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
