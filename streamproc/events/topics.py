"""The topics: their names, keys and how Kafka keeps them."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["TOPICS", "Retention", "Topic", "TopicNames"]


class Retention(StrEnum):
    """How Kafka keeps a topic's records."""

    WEEK = "week"
    """Deleted after seven days: the outcome is on an output topic by then, and a comparison is no longer of use."""
    FOREVER = "forever"
    """Never deleted: the log is the audit and the state."""
    COMPACTED = "compacted"
    """The last record per key is kept."""
    MONTH = "month"
    """Deleted after thirty days: time for people to look into dead letters."""

    @property
    def config(self) -> dict[str, str]:
        """Kafka's topic configuration for this retention."""
        day_ms = 24 * 3600 * 1000
        match self:
            case Retention.WEEK:
                return {"cleanup.policy": "delete", "retention.ms": str(7 * day_ms)}
            case Retention.MONTH:
                return {"cleanup.policy": "delete", "retention.ms": str(30 * day_ms)}
            case Retention.FOREVER:
                return {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
            case Retention.COMPACTED:
                return {"cleanup.policy": "compact"}


@dataclass(frozen=True)
class Topic:
    """One topic of the design; ``name`` is without the configurable prefix."""

    name: str
    direction: str
    key: str
    retention: Retention
    single_partition: bool = False


TOPICS = (
    Topic("notes.new", "in", "note_id", Retention.WEEK),
    Topic("notes.labels", "in", "note_id", Retention.FOREVER),
    Topic("tags.changes", "in", "tag_id", Retention.FOREVER, single_partition=True),
    Topic("knowledge.changes", "in", "segment_id", Retention.FOREVER, single_partition=True),
    Topic("notes.tagged", "out", "note_id", Retention.COMPACTED),
    Topic("graph.notes", "out", "JSON array [note_id, origin]", Retention.COMPACTED),
    Topic("graph.edges", "out", "JSON array [source, relation, target, provenance]", Retention.COMPACTED),
    Topic("notes.shadow", "out", "note_id", Retention.WEEK),
    Topic("notes.dead", "out", "the original key", Retention.MONTH),
)


@dataclass(frozen=True)
class TopicNames:
    """The topics' names with the prefix of this deployment."""

    prefix: str = ""

    @property
    def notes_new(self) -> str:
        """Notes to be tagged."""
        return f"{self.prefix}notes.new"

    @property
    def notes_labels(self) -> str:
        """People's judgements."""
        return f"{self.prefix}notes.labels"

    @property
    def tags_changes(self) -> str:
        """The tag repository."""
        return f"{self.prefix}tags.changes"

    @property
    def knowledge_changes(self) -> str:
        """Knowledge segments."""
        return f"{self.prefix}knowledge.changes"

    @property
    def notes_tagged(self) -> str:
        """Outcomes."""
        return f"{self.prefix}notes.tagged"

    @property
    def graph_notes(self) -> str:
        """Notes of the graph."""
        return f"{self.prefix}graph.notes"

    @property
    def graph_edges(self) -> str:
        """Edges of the graph."""
        return f"{self.prefix}graph.edges"

    @property
    def notes_shadow(self) -> str:
        """Differences between two bundles' decisions."""
        return f"{self.prefix}notes.shadow"

    @property
    def notes_dead(self) -> str:
        """Dead letters."""
        return f"{self.prefix}notes.dead"
