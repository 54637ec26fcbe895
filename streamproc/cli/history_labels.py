"""The labels of an imported history beside the tags that are published: which of them name none."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streamproc.events.codec import normalise_name
from streamproc.events.note import Note
from streamproc.events.tag import TagChange, TagStatus

__all__ = ["HistoryLabels", "look_up_labels"]

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class HistoryLabels:
    """What the labels of a history name.

    Attributes:
        notes: how many notes have a label.
        unheard: label that is no tag's id → on how many notes it stands, the most frequent first.
        unheard_notes: on how many notes at least one of these stands.
        misnamed: those of ``unheard`` that are the name of a tag with an id of its own → that id.
    """

    notes: int
    unheard: Mapping[str, int]
    unheard_notes: int
    misnamed: Mapping[str, str]

    @property
    def sentences(self) -> tuple[str, ...]:
        """For people; none where every label names a tag."""
        if not self.unheard:
            return ()
        shown = ", ".join(map(repr, list(self.unheard)[:_SHOWN]))
        labels = "1 label names" if len(self.unheard) == 1 else f"{len(self.unheard):,} labels name"
        told = (
            f"{labels} no published tag, on {self.unheard_notes:,} of {self.notes:,} labelled notes (such as {shown}): "
            "nothing is tagged with them. They count as soon as tags of these ids are published (streamproc import "
            "tags FILE); the notes need not be imported again."
        )
        if not self.misnamed:
            return (told,)
        label, tag_id = next(iter(self.misnamed.items()))
        are = "1 of them is the name of a tag that has an id of its own"
        if len(self.misnamed) > 1:
            are = f"{len(self.misnamed):,} of them are names of tags that have ids of their own"
        return told, f"{are}: write {tag_id!r} in place of {label!r}, and import the notes again."


def look_up_labels(notes: Iterable[Note], tags: Mapping[str, TagChange]) -> HistoryLabels:
    """Compare the labels of a history with the tags; deprecated and merged tags are named, too.

    Args:
        notes: the history, read once and not kept.
        tags: what is published, by id.
    """
    unheard: Counter[str] = Counter()
    labelled = unheard_notes = 0
    for note in notes:
        labels = {normalise_name(label) for label in note.tags} - {""}
        labelled += bool(labels)
        missing = [label for label in labels if label not in tags]
        unheard.update(missing)
        unheard_notes += bool(missing)
    ranked = dict(sorted(unheard.items(), key=lambda each: (-each[1], each[0])))
    by_name = {
        normalise_name(tag.name): tag.tag_id for tag in tags.values() if tag.status is TagStatus.ACTIVE
    }
    misnamed = {label: by_name[label] for label in ranked if label in by_name}
    return HistoryLabels(labelled, ranked, unheard_notes, misnamed)
