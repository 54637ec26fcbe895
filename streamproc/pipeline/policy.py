"""The decision policy: from calibrated confidences to the tags a note gets."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streamproc.config import KindRule, Settings
from streamproc.events.tag import TagChange, TagPolicy

__all__ = ["Decision", "Policy", "Scored", "decide"]


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its confidence and what people said of it on this very note."""

    index: int
    """Where the candidate stands in the recall's list."""
    tag: TagChange
    confidence: float
    judged: bool | None = None
    """True or False: a person's word on this tag of this note; None: nobody spoke."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The three routes of a tag, for all kinds and by kind: accepted, left to people, dropped.

    Attributes:
        min_confidence: from here on a tag is emitted (LLM4Tag drops tags under .5).
        max_tags: how many tags a note gets at most.
        kinds: what differs by kind.
        review_confidence: from here to ``min_confidence`` a tag waits for a person; None: it is dropped.
    """

    min_confidence: float = 0.5
    max_tags: int = 10
    kinds: Mapping[str, KindRule] = field(default_factory=dict)
    review_confidence: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Policy":
        """The policy that the settings describe."""
        return cls(settings.min_confidence, settings.max_tags, settings.kinds, settings.review_confidence)

    def threshold(self, kind: str) -> float:
        """The least confidence with which a tag of this kind is emitted."""
        rule = self.kinds.get(kind)
        if rule is None or rule.min_confidence is None:
            return self.min_confidence
        return rule.min_confidence

    def review_threshold(self, kind: str) -> float:
        """The least confidence with which a tag of this kind is shown to a person; never above the other."""
        rule = self.kinds.get(kind)
        own = None if rule is None else rule.review_confidence
        chosen = self.review_confidence if own is None else own
        accepted = self.threshold(kind)
        return accepted if chosen is None else min(chosen, accepted)

    def limit(self, kind: str) -> int:
        """How many tags of this kind a note gets at most."""
        rule = self.kinds.get(kind)
        return self.max_tags if rule is None or rule.max_tags is None else rule.max_tags


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of the candidates of one note; each list by falling confidence, ties by id.

    Attributes:
        emitted: tags that count at once.
        review: tags that wait for a person.
        candidates: all there were, those that were dropped among them; what a person confirmed has confidence 1.
    """

    emitted: tuple[Scored, ...]
    review: tuple[Scored, ...]
    candidates: tuple[Scored, ...]


def decide(scored: Sequence[Scored], policy: Policy) -> Decision:
    """Choose among the candidates of one note.

    A person's word on the note itself goes before the model's: a rejected tag is dropped, a confirmed one is
    emitted with confidence 1. Tags whose policy is ``review``, and tags between the two thresholds, are set aside
    for people unless one has confirmed them. Ties are broken by id, so that the result does not depend on the order of candidates.
    """
    emitted: list[Scored] = []
    review: list[Scored] = []
    of_kind: Counter[str] = Counter()
    candidates = sorted(map(_with_judgement, scored), key=lambda each: (-each.confidence, each.tag.tag_id))
    for candidate in candidates:
        kind = candidate.tag.kind
        if candidate.judged is False or candidate.confidence < policy.review_threshold(kind):
            continue
        unsure = candidate.confidence < policy.threshold(kind)
        if (unsure or candidate.tag.policy is TagPolicy.REVIEW) and not candidate.judged:
            if len(review) < policy.max_tags:
                review.append(candidate)
        elif len(emitted) < policy.max_tags and of_kind[kind] < policy.limit(kind):
            of_kind[kind] += 1
            emitted.append(candidate)
    return Decision(tuple(emitted), tuple(review), tuple(candidates))


def _with_judgement(candidate: Scored) -> Scored:
    if candidate.judged is not True:
        return candidate
    return Scored(candidate.index, candidate.tag, 1.0, judged=True)
