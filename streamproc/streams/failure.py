"""The failure policy: what becomes of a batch whose work fails.

* *Poison* is the record's fault: it fails at once, alone.
* *Transient* is worth another attempt: a bounded number of them, with growing pauses. When they are used up while
  every dependency is healthy, the batch is halved again and again, and a record that fails alone is poison. One bad
  record never takes its neighbours along.
* *Dependency down* is nobody's fault: everybody waits for it behind its breaker, and no attempt counts.
* A *graph that is lost* while the worker runs is nobody's fault either: a person must build it again, and it is waited for.
* A dependency that *answers probes and still refuses*, again and again, may be half down, or choke on one record. The
  batch is halved here, too; a record is poison only if it alone is refused while others of its batch went through.
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
    GraphMismatchError,
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

MOST_REFUSALS = 6
"""How often a dependency that answers probes may refuse the same work before a record is suspected."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An item that has no result: what is wrong with it, and how often it was tried."""

    error: PoisonError
    attempts: int


@dataclass(frozen=True, slots=True)
class _Refused:
    """An item that a dependency refuses although it answers probes: the fault of either."""

    error: DependencyDownError
    attempts: int


@dataclass(frozen=True)
class FailurePolicy:
    """Carries a batch through its work, whatever happens."""

    agent: str
    dependencies: Dependencies
    clock: Clock
    attempt_seconds: float
    max_attempts: int
    when_lost: Callable[[GraphMismatchError], Awaitable[None]] | None = None
    """Returns when the graph is there again; None: its loss ends the work."""
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
            UserError: a person must act (the bundle is broken): no record is at fault.
        """
        results = await self._carry(list(items), work, self.max_attempts)
        while any(isinstance(result, _Refused) for result in results):
            others_went_through = any(not isinstance(result, _Refused | Failed) for result in results)
            for place, result in enumerate(results):
                if isinstance(result, _Refused):
                    # Once more: meanwhile the dependency may have come to itself.
                    (again,) = await self._carry([items[place]], work, self.max_attempts)
                    if isinstance(again, _Refused) and others_went_through:
                        again = self._given_up(again.attempts, again.error)
                    results[place] = again
        return [result for result in results if not isinstance(result, _Refused)]

    async def _carry(
        self, items: list[T], work: Callable[[Sequence[T]], Awaitable[Sequence[R]]], max_attempts: int
    ) -> list[R | Failed | _Refused]:
        whole = await self._insist(items, work, max_attempts)
        if whole is not None:
            return whole
        middle = len(items) // 2
        results: list[R | Failed | _Refused] = []
        for half in (items[:middle], items[middle:]):
            # The whole batch had its attempts; a part of it gets one, to find the culprit soon, and a record that
            # is alone gets all of them again before it is declared dead.
            results += await self._carry(half, work, self.max_attempts if len(half) == 1 else 1)
        return results

    async def _insist(
        self, items: list[T], work: Callable[[Sequence[T]], Awaitable[Sequence[R]]], max_attempts: int
    ) -> list[R | Failed | _Refused] | None:
        """The results of all items together, or what is wrong with the only one; None: halve them."""
        alone = len(items) == 1
        attempt = refusals = 0
        while True:
            attempt += 1
            error = await self._attempt_once(items, work)
            if not isinstance(error, Exception):
                return list(error)
            if isinstance(error, PoisonError):
                return [Failed(error, attempt)] if alone else None
            if isinstance(error, GraphMismatchError) and self.when_lost is not None:
                attempt -= 1
                await self.when_lost(error)
                continue
            if isinstance(error, DependencyDownError):
                attempt -= 1
                refusals = 0 if await self.dependencies.wait_until_up(error) else refusals + 1
                if refusals < MOST_REFUSALS:
                    await self.clock.sleep(self._pause_seconds(refusals))
                    continue
                return [_Refused(error, refusals)] if alone else None
            if attempt < max_attempts:
                metrics.RETRIES.labels(self.agent, type(error).__name__).inc()
                await self.clock.sleep(self._pause_seconds(attempt))
                continue
            down = await self.dependencies.find_down()
            if down is None:
                return [self._given_up(attempt, error)] if alone else None
            await self.dependencies.wait_until_up(down)
            attempt = 0

    def _pause_seconds(self, attempt: int) -> float:
        return self.backoff.delay_seconds(attempt, self.chance) if attempt else 0.0

    def _given_up(self, attempts: int, error: Exception) -> Failed:
        log.warning(
            "a record failed alone, again and again", agent=self.agent, attempts=attempts, error=repr(error)
        )
        return Failed(_repeated(attempts, error), attempts)

    async def _attempt_once(
        self, items: list[T], work: Callable[[Sequence[T]], Awaitable[Sequence[R]]]
    ) -> Sequence[R] | Exception:
        try:
            async with asyncio.timeout(self.attempt_seconds):
                return await work(items)
        except GraphMismatchError as error:
            if self.when_lost is None:
                raise
            return error
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
