"""The failure policy: what becomes of a batch whose work fails.

* *Poison* is the record's fault: it fails at once, alone.
* *Transient* is worth another attempt: a bounded number of them, with growing pauses. When they are used up while
  every dependency is healthy, the batch is halved again and again, and a record that fails alone is poison. One bad
  record never takes its neighbours along.
* *Dependency down* is nobody's fault: everybody waits for it behind its breaker, and no attempt counts.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from streamproc.errors import (
    DeadlineError,
    DependencyDownError,
    PoisonError,
    RepeatedFailureError,
    UserError,
)
from streamproc.observability import metrics
from streamproc.observability.clock import Clock
from streamproc.streams.backoff import Backoff
from streamproc.streams.breaker import Dependencies

__all__ = ["Failed", "FailurePolicy"]

log = structlog.get_logger(__name__)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Failed:
    """An item that has no result: what is wrong with it, and how often it was tried."""

    error: PoisonError
    attempts: int


@dataclass(frozen=True)
class FailurePolicy:
    """Carries a batch through its work, whatever happens."""

    agent: str
    dependencies: Dependencies
    clock: Clock
    attempt_seconds: float
    max_attempts: int
    backoff: Backoff = field(default_factory=Backoff)
    chance: random.Random = field(default_factory=random.Random)

    async def carry(
        self, items: Sequence[T], work: Callable[[Sequence[T]], Awaitable[Sequence[R]]]
    ) -> list[R | Failed]:
        """Return a result or a failure for each item, in order.

        Args:
            items: the batch.
            work: gives one result for each item, in order; safe to repeat.

        Raises:
            UserError: a person must act (the graph is another's, the bundle is broken): no record is at fault.
        """
        return await self._carry(list(items), work, self.max_attempts)

    async def _carry(
        self, items: list[T], work: Callable[[Sequence[T]], Awaitable[Sequence[R]]], max_attempts: int
    ) -> list[R | Failed]:
        attempt = 0
        while True:
            attempt += 1
            error = await self._attempt_once(items, work)
            if not isinstance(error, Exception):
                return list(error)
            if isinstance(error, PoisonError):
                if len(items) == 1:
                    return [Failed(error, attempt)]
                break
            if isinstance(error, DependencyDownError):
                await self.dependencies.wait_until_up(error)
                attempt -= 1
                continue
            if attempt < max_attempts:
                metrics.RETRIES.labels(self.agent, type(error).__name__).inc()
                await self.clock.sleep(self.backoff.delay_seconds(attempt, self.chance))
                continue
            down = await self.dependencies.find_down()
            if down is not None:
                await self.dependencies.wait_until_up(down)
                attempt = 0
                continue
            if len(items) == 1:
                log.warning(
                    "a record failed alone, again and again",
                    agent=self.agent,
                    attempts=attempt,
                    error=repr(error),
                )
                return [Failed(_repeated(attempt, error), attempt)]
            break
        middle = len(items) // 2
        results: list[R | Failed] = []
        for half in (items[:middle], items[middle:]):
            # The whole batch had its attempts; a part of it gets one, to find the culprit soon, and a record that
            # is alone gets all of them again before it is declared dead.
            results += await self._carry(half, work, self.max_attempts if len(half) == 1 else 1)
        return results

    async def _attempt_once(
        self, items: list[T], work: Callable[[Sequence[T]], Awaitable[Sequence[R]]]
    ) -> Sequence[R] | Exception:
        try:
            async with asyncio.timeout(self.attempt_seconds):
                return await work(items)
        except UserError:
            raise
        except TimeoutError:
            return DeadlineError(f"no result after {self.attempt_seconds:g} s (STREAMPROC_ATTEMPT_SECONDS)")
        except Exception as error:  # noqa: BLE001 - a library's surprise on one record must not end the worker
            return error


def _repeated(attempts: int, error: Exception) -> RepeatedFailureError:
    repeated = RepeatedFailureError(
        f"failed alone {attempts} times while every dependency was healthy; last: {type(error).__name__}: {error}"
    )
    repeated.__cause__ = error
    return repeated
