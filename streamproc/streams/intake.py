"""Intake control: an agent that waits does not fetch on.

Faust stops fetching for a partition when the agent's queue is nearly full: thousands of records, each of any size. An
agent that knows that it will wait pauses its partitions before.
"""

from collections.abc import Collection
from typing import Any

from faust.exceptions import ConsumerNotStarted

from streamproc.streams.app import StreamApp

__all__ = ["Intake"]


class Intake:
    """Pauses and resumes partitions by topic."""

    def __init__(self, app: StreamApp) -> None:
        self._app = app
        self._held: set[Any] = set()

    def hold(self, topics: Collection[str]) -> None:
        """Let the partitions of these topics be paused and no others.

        To be called again and again: every assignment resumes all partitions.
        """
        consumer = self._app.consumer
        if self._app.rebalancing or not consumer.flow_active:
            return
        try:
            assigned = consumer.assignment()
        except ConsumerNotStarted:
            return
        held = {partition for partition in assigned if partition.topic in topics}
        if held:
            consumer.pause_partitions(held)
        released = (self._held - held) & assigned
        if released:
            consumer.resume_partitions(released)
        self._held = held
