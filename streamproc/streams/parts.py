"""What a worker is made of, besides Kafka: opened by :mod:`~.opening` in production, put together by hand in tests."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamproc.knowledge.snapshot import Knowledge
from streamproc.streams.breaker import Dependency
from streamproc.streams.graphing import NoteWriter
from streamproc.streams.repository import KnowledgeWriter
from streamproc.streams.tagging import NoteTagger
from streamproc.streams.view_watch import WatchedGraph

__all__ = ["GraphSide", "Parts"]


class GraphSide(NoteWriter, KnowledgeWriter, WatchedGraph, Protocol):
    """The graph as the agents write it, and as it is watched."""


@dataclass(frozen=True)
class Parts:
    """The parts of a worker."""

    pipeline: NoteTagger
    graph: GraphSide
    knowledge: Knowledge
    dependencies: Sequence[Dependency]
    """What is probed besides Kafka: Milvus, Triton."""
    close: Callable[[], Awaitable[None]]
