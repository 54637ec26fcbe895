"""What people wrote down that guides a teacher: the interest handbook, rules and definitions (after TagLLM)."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from streamproc.events.files import read_events, segment_from_row
from streamproc.events.segment import SegmentChange, SegmentKind

__all__ = ["Guidance", "Handbook"]

_MOST_INTERESTS = 8
_MOST_RULES = 16


@dataclass(frozen=True, slots=True)
class Guidance:
    """The passages that matter for one note, the weightiest first.

    Attributes:
        interests: of the handbook: what users of the note's category care about.
        rules: rules and definitions that bear on its candidates.
    """

    interests: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


class Handbook:
    """All passages of knowledge, looked up by category and tag.

    Args:
        segments: of any kind.
    """

    def __init__(self, segments: Iterable[SegmentChange] = ()) -> None:
        kept = [segment for segment in segments if segment.text.strip()]
        self._interests = [each for each in kept if each.kind is SegmentKind.HANDBOOK]
        self._rules = [each for each in kept if each.kind is not SegmentKind.HANDBOOK]

    @classmethod
    def read(cls, path: Path) -> "Handbook":
        """The passages of a file (JSON Lines, as ``import knowledge`` takes them).

        Raises:
            InputFileError: the file or a line cannot be used; names file and line.
        """
        return cls(read_events(path, segment_from_row))

    def guidance(self, category: str, candidates: Sequence[str]) -> Guidance:
        """What guides the tagging of one note.

        The handbook's passages on its category or on one of its candidates, and those on no category and no tag;
        rules and definitions that name a candidate, and rules that hold for all tags (of the category, where the
        rule has one).

        Args:
            category: of the note; empty where it is not known.
            candidates: ids of its candidates.
        """
        ids = frozenset(candidates)
        wanted = category.strip().casefold()
        interests = [each for each in self._interests if _of_category(each, wanted) or _touches(each, ids)]
        rules = [each for each in self._rules if _touches(each, ids) or _holds_for_all(each, wanted)]
        return Guidance(
            _weightiest(interests, ids, wanted, _MOST_INTERESTS), _weightiest(rules, ids, wanted, _MOST_RULES)
        )


def _of_category(segment: SegmentChange, category: str) -> bool:
    own = segment.category.strip().casefold()
    return own == category if own else not segment.tag_ids


def _touches(segment: SegmentChange, ids: AbstractSet[str]) -> bool:
    return not ids.isdisjoint(segment.tag_ids)


def _holds_for_all(segment: SegmentChange, category: str) -> bool:
    return segment.kind is SegmentKind.RULE and not segment.tag_ids and _of_category(segment, category)


def _weightiest(
    segments: Sequence[SegmentChange], ids: AbstractSet[str], category: str, most: int
) -> tuple[str, ...]:
    def weight(segment: SegmentChange) -> tuple[int, int, str]:
        named = len(ids & set(segment.tag_ids))
        own = segment.category.strip().casefold() == category
        return (-named, -own, segment.segment_id)

    return tuple(" ".join(segment.text.split()) for segment in sorted(segments, key=weight)[:most])
