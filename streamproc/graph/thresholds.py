"""Thresholds and shares of recall (LLM4Tag, 3.1): the paper's as a preset, ours fitted to the encoder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from streamproc.inference.manifest import RecallFit

__all__ = ["FITTED", "PAPER", "Thresholds"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a vertex is near enough, and how many candidates each path may bring.

    Attributes:
        candidates: how many candidates a note gets at most.
        delta_content_tag: lowest cosine of a content–tag similarity edge (δ_ct).
        delta_content_content: lowest cosine of a content–content similarity edge (δ_cc).
        max_content_tag: most candidates taken by C2T.
        max_neighbour_tag: most candidates taken by C2C2T.
        max_lexical: most candidates taken by their words.
        max_likely: most candidates taken because the note is like all the notes that have them; 0: that is not asked.
        max_worded: most candidates taken because the note is worded like all the notes that have them; 0: likewise.
        carried: how many candidates at most may be tags that voting notes carry, so that tags nobody near by
            has used yet, new ones among them, are considered whatever the votes say.
        reserved_content_tag: the nearest tags that stay whatever the fused score says.
        reserved_unseen: how many more of the nearest stay where nobody has used any tag yet; fewer as labels come, by how
            probable it is that the next one is of a tag that nobody has used.
        reserved_new_tag: how many places are kept for tags without a history that are near or named, so that a
            tag can be recalled from the moment it is published; the best of them by the fused score.
        kin: how much a vote for a parent, a child or a sibling speaks for a tag without a history, when those places
            are given away.
        few_uses: a tag has a history once people put it on so many notes, fewer than ``uses.COUNTED``.
        neighbours: how many notes with labels of people vote; models are heard on the notes among them.
        nearest_tags: how many tags to ask the graph for; more than are taken, for some are merged or retired.
        nearest_notes: how many notes to ask it for; more than vote, for many carry labels of models only.
        sharpness: neighbours vote in proportion to exp(sharpness × similarity).
        min_model_weight: a model's edge is heard from this confidence on; weaker ones are written only for tags
            that were emitted.
        import_vote: how much an imported label weighs beside a person's judgement on the note.
        author_vote: how much an author's own tag weighs beside it.
        fusion: weights of evidence columns, by name, whose sum ranks the union of the paths; empty:
            the paths follow one another.
    """

    candidates: int = 32
    delta_content_tag: float = 0.0
    delta_content_content: float = 0.0
    max_content_tag: int = 40
    max_neighbour_tag: int = 100
    max_lexical: int = 20
    max_likely: int = 20
    max_worded: int = 20
    carried: int = 24
    reserved_content_tag: int = 1
    reserved_unseen: int = 11
    reserved_new_tag: int = 5
    kin: float = 3.0
    few_uses: int = 1
    neighbours: int = 50
    nearest_tags: int = 48
    nearest_notes: int = 128
    sharpness: float = 16.0
    min_model_weight: float = 0.2
    import_vote: float = 0.95
    author_vote: float = 0.8
    fusion: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, fit: RecallFit | None) -> "Thresholds":
        """The thresholds that a bundle records; ``FITTED`` where it records none."""
        if fit is None:
            return FITTED
        return cls(
            delta_content_tag=fit.delta_content_tag,
            delta_content_content=fit.delta_content_content,
            max_content_tag=fit.max_content_tag,
            max_neighbour_tag=fit.max_neighbour_tag,
            max_lexical=fit.max_lexical,
            sharpness=fit.sharpness,
            fusion=MappingProxyType(dict(fit.fusion)),
        )


PAPER = Thresholds(
    candidates=20,
    delta_content_tag=0.5,
    delta_content_content=0.8,
    max_content_tag=15,
    max_neighbour_tag=5,
    max_lexical=0,
    max_likely=0,
    max_worded=0,
    reserved_content_tag=0,
    reserved_unseen=0,
    reserved_new_tag=0,
)
"""The constants of LLM4Tag. They belong to BGE: under MiniLM they leave half a candidate a note."""

FITTED = Thresholds(
    fusion=MappingProxyType(
        {
            "cosine": 0.5,
            "best_neighbour": 0.8,
            "vote_3": 0.2,
            "vote_10": 0.4,
            "vote_30": 0.8,
            "vote_soft": 2.0,
            "vote_sharp": 2.3,
            "vote_model": 24.0,
            "exact_text": 1.0,
            "bm25": 0.12,
            "name_rarity": 0.5,
            "likeness": 0.1,
            "likeness_gap": 0.1,
            "likeness_soft": 0.2,
            "likeness_sharp": 0.6,
            "likeness_cosine": 2.0,
            "wording": 0.45,
            "wording_gap": 0.35,
            "wording_sharp": 1.6,
        }
    )
)
"""For a bundle whose recall was never fitted: fitted to all-MiniLM-L6-v2 and rounded.

Models believe in few tags a note and are heard as shares of everybody near by, hence the large weight of
``vote_model``: a tag that every fourth neighbour carries by a model's sure word gains as much as one that
people gave to all of them. ``benchmarks/write_back.py`` chooses it, and ``min_model_weight`` with it.
"""
