"""One file of a dataset under the bundle to be measured: its notes searched, recalled and tagged as often as needed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamproc.errors import UserError
from streamproc.evaluation.dataset import Dataset, LabelledNote, Split
from streamproc.evaluation.prepared import Prepared, recall_all
from streamproc.evaluation.scoring import Scored, score
from streamproc.graph.hits import Hits
from streamproc.graph.recall import Recalled
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.protocols import Float32, Models

__all__ = ["CANDIDATES", "Experiment", "Say", "scored_places"]

Say = Callable[[str], None]

CANDIDATES = 20
"""At which recall is compared (LLM4Tag, 4)."""

_SAID_NOTES = 1024  # tagged between two lines of progress


def scored_places(dataset: Dataset, split: Split) -> list[int]:
    """Where the notes of a file stand that have a right tag; the others are not scored.

    Raises:
        UserError: none has.
    """
    places = [place for place, each in enumerate(dataset.split(split)) if each.gold]
    if not places:
        raise UserError(
            f"no note of {dataset.name}'s {split.value} has a tag of the repository: there is nothing to measure"
        )
    return places


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is measured on.

    Attributes:
        prepared: the dataset; its history is train.
        models: tagger and calibrator of the bundle.
        thresholds: of its recall.
        notes: those of the file that have a right tag.
        vectors: float32[notes, dimension].
        say: told what is being done.
    """

    prepared: Prepared
    models: Models
    thresholds: Thresholds
    notes: Sequence[LabelledNote]
    vectors: Float32
    say: Say

    @classmethod
    def of(
        cls, prepared: Prepared, models: Models, thresholds: Thresholds, split: Split, say: Say
    ) -> "Experiment":
        """Take the notes of one file.

        Raises:
            UserError: none of them has a right tag.
        """
        places = scored_places(prepared.dataset, split)
        notes = [prepared.dataset.split(split)[place] for place in places]
        return cls(prepared, models, thresholds, notes, prepared.vectors[split][places], say)

    def hits(self, prepared: Prepared | None = None) -> list[Hits]:
        """What the graph (of this very dataset unless another form of it is given) finds near each note."""
        self.say(f"searching the graph for {len(self.notes):,} notes")
        return (prepared or self.prepared).graph.nearest(
            self.vectors, tags=self.thresholds.nearest_tags, notes=self.thresholds.nearest_notes
        )

    def recalled(
        self, hits: Sequence[Hits], thresholds: Thresholds | None = None, prepared: Prepared | None = None
    ) -> list[Recalled]:
        """The candidates of each note."""
        source = prepared or self.prepared
        return recall_all(
            self.notes, hits, source.repository, thresholds or self.thresholds, source.judgements
        )

    def scored(self, recalled: Sequence[Recalled], what: str) -> Scored:
        """The notes with these candidates, tagged.

        Args:
            recalled: the candidates of each.
            what: in what progress is told.
        """

        def progress(done: int, total: int) -> None:
            if done == total or done % _SAID_NOTES == 0:
                self.say(f"{what}: tagged {done:,} of {total:,} notes")

        return score(self.notes, recalled, self.models, progress)
