"""Similar notes that people labelled: the samples that language models are shown (LLM4Tag, 3.2, SRKI)."""

from collections.abc import Mapping

from streamproc.evaluation.dataset import Dataset, LabelledNote
from streamproc.graph.recall import Recalled, explain
from streamproc.llm.wording import Sample

__all__ = ["SAMPLES", "History"]

SAMPLES = 3
"""As many as the paper shows."""


class History:
    """A dataset's train, from which samples are taken.

    Args:
        dataset: its train and its tags.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._names = {tag.tag_id: tag.name for tag in dataset.tags}
        self._notes: Mapping[str, LabelledNote] = {each.note.note_id: each for each in dataset.train}

    def samples(self, recalled: Recalled, most: int = SAMPLES) -> tuple[Sample, ...]:
        """The notes nearest to the recalled one, of those that speak for its candidates; nearest first."""
        near: dict[str, float] = {}
        for candidate in range(len(recalled.tags)):
            _, evidence = explain(recalled, candidate)
            near |= {each.note_id: each.similarity for each in evidence.neighbours}
        nearest = sorted(near, key=lambda note_id: (-near[note_id], note_id))
        notes = [self._notes[note_id] for note_id in nearest if note_id in self._notes]
        return tuple(Sample(each.note, self._tag_names(each)) for each in notes[:most])

    def _tag_names(self, note: LabelledNote) -> tuple[str, ...]:
        return tuple(sorted(self._names[tag_id] for tag_id in note.gold if tag_id in self._names))
