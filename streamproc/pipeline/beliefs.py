"""What a note's models' edges in the graph say: what was emitted, and what was believed too weakly for that.

A model's edge is a belief with its confidence; decisions stand on ``notes.tagged``. Several notes near by that
half believe in a tag say as much of the next one as a single note that is sure of it, so what was not emitted
can still bring a tag to be considered; it does no more than that (``graph.recall``).
"""

from streamproc.events.tag import TagPolicy, TagStatus
from streamproc.pipeline.policy import Decision, Scored

__all__ = ["MOST_UNEMITTED", "beliefs"]

MOST_UNEMITTED = 8
"""Tags that were not emitted and are believed all the same, at most: each edge is a record on ``graph.edges``."""


def beliefs(decision: Decision, least: float) -> tuple[Scored, ...]:
    """The tags that the graph is to hold of a note by its models' word, each once.

    First those that were emitted, then the others by falling confidence, ties by id. Where a person has spoken
    of the tag on this note there is no belief: the edge is the judgement's, or there is none. Nor is there one
    in a tag that models may not propose, or that is no longer in use.

    Args:
        decision: of the note.
        least: confidence from which recall hears a belief (``Thresholds.min_model_weight``); a weaker one
            is not kept, unless its tag was emitted.
    """
    emitted = tuple(each for each in decision.emitted if each.judged is None)
    shown = {each.tag.tag_id for each in decision.emitted}
    unemitted = [
        each
        for each in decision.candidates
        if each.confidence >= least and each.tag.tag_id not in shown and _open(each)
    ]
    return (*emitted, *unemitted[:MOST_UNEMITTED])


def _open(candidate: Scored) -> bool:
    """Whether neither a person nor the tag's own state rules the tag out."""
    tag = candidate.tag
    return (
        candidate.judged is None
        and tag.policy is not TagPolicy.MANUAL_ONLY
        and tag.status is TagStatus.ACTIVE
    )
