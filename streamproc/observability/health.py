"""Health: what keeps a worker from being ready, and when it counts as stuck. Pure; the web routes are elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Health", "Vitals", "judge"]


@dataclass(frozen=True)
class Vitals:
    """What is known of a worker at one moment."""

    group_joined: bool
    """Whether the consumer group gave this worker an assignment; an empty one counts."""
    topics_missing: tuple[str, ...]
    """Topics that are to be read and do not exist."""
    tails_behind: tuple[str, ...]
    """Tailed topics that are not caught up."""
    view_problem: str
    """Why the graph cannot be trusted, and what to do; empty when it can."""
    down: Mapping[str, str]
    """Dependencies held to be down, each with the reason."""
    oldest_unacked_seconds: float
    """Age of the oldest record in flight, outages left out."""
    standstill_seconds: float
    """How long a partition has had records to read while its commit stood still, outages left out."""


@dataclass(frozen=True)
class Health:
    """The verdict: each list of reasons is empty when all is well."""

    not_live: tuple[str, ...] = field(default=())
    not_ready: tuple[str, ...] = field(default=())

    @property
    def live(self) -> bool:
        """Whether the process is worth keeping."""
        return not self.not_live

    @property
    def ready(self) -> bool:
        """Whether the process does its work."""
        return not self.not_ready


def judge(vitals: Vitals, stuck_seconds: float) -> Health:
    """Decide on liveness and readiness.

    A dependency that is down never makes a process unfit to live, nor does a graph that is lost: restarting it would not help.

    Args:
        vitals: the state of the worker.
        stuck_seconds: how old the oldest record in flight may become, and how long a commit may stand still.
    """
    not_live: list[str] = []
    waiting = vitals.down or vitals.view_problem
    if not waiting and vitals.oldest_unacked_seconds > stuck_seconds:
        not_live.append(
            f"a record has waited {vitals.oldest_unacked_seconds:.0f} s for its outcome while every dependency was up "
            f"(limit: {stuck_seconds:.0f} s)"
        )
    if not waiting and vitals.standstill_seconds > stuck_seconds:
        not_live.append(
            f"a partition has records to read, but its commit has stood still for {vitals.standstill_seconds:.0f} s "
            f"(limit: {stuck_seconds:.0f} s)"
        )
    not_ready = list(not_live)
    if not vitals.group_joined:
        not_ready.append("the consumer group has not given this worker its partitions yet")
    not_ready += [f"{topic} does not exist: streamproc topics create" for topic in vitals.topics_missing]
    not_ready += [f"{topic} is not read to its end yet" for topic in vitals.tails_behind]
    if vitals.view_problem:
        not_ready.append(vitals.view_problem)
    not_ready += [f"{name} is down: {reason}" for name, reason in sorted(vitals.down.items())]
    return Health(tuple(not_live), tuple(not_ready))
