"""Methods from outside that are compared with the bundle on the same notes and the same candidates."""

from collections.abc import Sequence
from typing import Protocol

from streamproc.evaluation.dataset import LabelledNote
from streamproc.graph.recall import Recalled

__all__ = ["Ranker"]


class Ranker(Protocol):
    """Chooses among the candidates of each note, such as a large language model that is asked."""

    @property
    def name(self) -> str:
        """What to call it in the report."""
        ...

    def rank(
        self, notes: Sequence[LabelledNote], recalled: Sequence[Recalled]
    ) -> Sequence[Sequence[str] | None]:
        """The tags that it gives each note, best first: ids of candidates, none twice, perhaps none at all.

        None where it was asked and no answer came: the report counts such a note as untagged, and says so.

        Args:
            notes: to be tagged; their ``gold`` is for the judge, never for a ranker.
            recalled: the candidates of each, in the order of the notes.
        """
        ...
