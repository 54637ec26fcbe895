"""Is the graph the view of the log that the consumer group believes it to be?"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Partition", "ViewState", "view_state"]

Partition = tuple[str, int]
"""A topic's full name and a partition number."""


@dataclass(frozen=True, slots=True)
class ViewState:
    """What a comparison of the graph with the group's commits found.

    Attributes:
        behind: partitions of which the graph lacks records that the group has already committed.
        message: one sentence for people; empty while the graph is current.
    """

    behind: tuple[Partition, ...]
    message: str

    @property
    def current(self) -> bool:
        """Whether the graph holds everything that was committed."""
        return not self.behind


def view_state(applied: Mapping[Partition, int], committed: Mapping[Partition, int]) -> ViewState:
    """Compare the offsets kept in the graph with those of the consumer group.

    Offsets are written to the graph before the group commits, so a graph that lacks committed
    records was lost, replaced or belongs to other topics. Being ahead is what a crash between the
    two writes leaves behind, and harmless: rows are written blindly.

    Args:
        applied: the last offset applied, by partition.
        committed: the group's commits: the next offset to be read, by partition. Partitions
            without a commit are left out.
    """
    behind = tuple(
        sorted(
            partition
            for partition, following in committed.items()
            if applied.get(partition, -1) < following - 1
        )
    )
    if not behind:
        return ViewState((), "")
    topic, number = behind[0]
    last = applied.get(behind[0], -1)
    has = "nothing" if last < 0 else f"up to offset {last}"
    more = f" (and {len(behind) - 1} more partitions)" if len(behind) > 1 else ""
    return ViewState(
        behind,
        f"the graph holds {has} of {topic}/{number}{more}, but offset {committed[behind[0]] - 1} is committed: "
        "it was lost, or belongs to other topics. Run `streamproc graph rebuild`.",
    )
