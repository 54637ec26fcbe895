"""What an encoder is fine-tuned on: note sets, their pairs, and the fingerprint of a run."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from streamproc.errors import UserError
from streamproc.evaluation.dataset import Dataset
from streamproc.training.journal import fingerprint
from streamproc.training.note_set import NoteSet, note_set
from streamproc.training.pairs import CoViewed, CoViewedPairs, Pairs, TagPairs
from streamproc.training.recipe import Recipe
from streamproc.training.vector_teacher import VectorTeacher

__all__ = ["EncoderData", "encoder_data"]


@dataclass(frozen=True, slots=True)
class EncoderData:
    """Labelled notes and where their pairs come from.

    Attributes:
        sets: one a dataset.
        pairs: of each set.
        co_viewed: the pairs from a file; empty where notes that share tags are the pairs.
        teacher: a larger encoder that is learnt from as well; None: there is none.
    """

    sets: tuple[NoteSet, ...]
    pairs: tuple[Pairs, ...]
    co_viewed: tuple[CoViewed, ...]
    teacher: VectorTeacher | None = None

    def fingerprint(self, recipe: Recipe, weights: str) -> str:
        """What tells a run over these data with these numbers from every other run.

        Args:
            recipe: the numbers.
            weights: SHA-256 of those that it starts from.
        """
        described = [
            (
                each.name,
                each.note_ids,
                each.texts,
                [tags.tolist() for tags in each.tags],
                each.tag_texts,
                each.held_out.query_texts,
                [places.tolist() for places in each.held_out.related],
            )
            for each in self.sets
        ]
        pairs = [(pair.first, pair.second, pair.weight) for pair in self.co_viewed]
        teacher = "" if self.teacher is None else self.teacher.weights
        return fingerprint(msgspec.json.encode(part) for part in (recipe, weights, described, pairs, teacher))


def encoder_data(
    datasets: Sequence[Dataset], recipe: Recipe, co_viewed: Sequence[CoViewed] = ()
) -> EncoderData:
    """Make datasets ready for fine-tuning.

    Args:
        datasets: their train is learnt from, their valid is what epochs are compared on.
        recipe: the numbers of the run.
        co_viewed: pairs of notes that people view together; if there are any, they take the place of
            the notes that share tags. Tags still tell which notes of a batch are no strangers.

    Raises:
        UserError: a dataset has no pairs.
    """
    ids = [(pair.first, pair.second) for pair in co_viewed]
    sets = tuple(note_set(each, ids, seed=recipe.seed) for each in datasets)
    return EncoderData(sets, tuple(_pairs(each, co_viewed) for each in sets), tuple(co_viewed))


def _pairs(each: NoteSet, co_viewed: Sequence[CoViewed]) -> Pairs:
    if co_viewed:
        viewed = CoViewedPairs(co_viewed, each.note_ids)
        if not viewed.notes:
            raise UserError(
                f"none of the pairs joins two notes of {each.name}'s train.jsonl: "
                "their ids must be those of the dataset"
            )
        return viewed
    used = [int(tag) for tags in each.tags for tag in tags]
    if len(used) == len(set(used)):
        raise UserError(
            f"no two notes of {each.name}'s train.jsonl share a tag: there are no pairs to learn from"
        )
    return TagPairs(each.tags, each.rarity)
