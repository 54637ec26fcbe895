"""The circuit breaker: while a dependency is down, everybody waits for it in one place."""

import asyncio
import random
from collections.abc import Sequence
from typing import Protocol

import structlog

from streamproc.errors import DependencyDownError, TransientError
from streamproc.observability import metrics
from streamproc.observability.clock import Clock, OutageClock
from streamproc.streams.backoff import Backoff

__all__ = ["Breaker", "Dependencies", "Dependency"]

log = structlog.get_logger(__name__)


class Dependency(Protocol):
    """Something outside this process that work cannot go on without."""

    @property
    def name(self) -> str:
        """What the dependency is called in messages and metrics: ``milvus``, ``triton``, ``kafka``."""
        ...

    async def check(self) -> None:
        """Return if the dependency answers.

        Raises:
            TransientError: it does not.
        """
        ...


class Breaker:
    """Open while one dependency is down. Whoever notices opens it; one probe at a time closes it."""

    def __init__(self, dependency: Dependency, outages: OutageClock, clock: Clock, backoff: Backoff) -> None:
        self._dependency = dependency
        self._outages = outages
        self._clock = clock
        self._backoff = backoff
        self._chance = random.Random()  # noqa: S311 - jitter, not a secret
        self._probe: asyncio.Task[bool] | None = None
        self.reason = ""
        metrics.BREAKER_OPEN.labels(dependency.name).set(0)
        metrics.OUTAGES.labels(dependency.name)

    @property
    def is_open(self) -> bool:
        """Whether the dependency is held to be down."""
        return self._probe is not None

    async def check(self) -> None:
        """Probe the dependency once.

        Raises:
            DependencyDownError: it does not answer.
        """
        try:
            await self._dependency.check()
        except DependencyDownError:
            raise
        except TransientError as error:
            raise DependencyDownError(self._dependency.name, str(error)) from error

    async def wait_until_up(self, reason: str) -> bool:
        """Open the breaker, if it is not open yet, and return when the dependency answers again.

        Returns:
            whether a probe found it down; False: it answered the first one.
        """
        # Shielded: one waiter that is cancelled (a revoked partition) must not end the others' probe.
        return await asyncio.shield(self.open(reason))

    def open(self, reason: str) -> "asyncio.Task[bool]":
        """Hold the dependency to be down, if it is not yet; the task ends when it answers again."""
        if self._probe is None:
            self.reason = reason
            self._outages.stop()
            metrics.BREAKER_OPEN.labels(self._dependency.name).set(1)
            metrics.OUTAGES.labels(self._dependency.name).inc()
            log.warning(
                "dependency is down; intake waits for it", dependency=self._dependency.name, reason=reason
            )
            self._probe = asyncio.create_task(self._until_up(), name=f"probe of {self._dependency.name}")
        return self._probe

    async def _until_up(self) -> bool:
        began = self._clock.monotonic()
        attempt = 0
        try:
            while True:
                attempt += 1
                await self._clock.sleep(self._backoff.delay_seconds(attempt, self._chance))
                try:
                    await self._dependency.check()
                except TransientError as error:
                    self.reason = str(error)
                    continue
                break
            log.info(
                "dependency is back",
                dependency=self._dependency.name,
                outage_seconds=round(self._clock.monotonic() - began, 3),
            )
            return attempt > 1
        finally:
            self._probe = None
            self._outages.resume()
            metrics.BREAKER_OPEN.labels(self._dependency.name).set(0)


class Dependencies:
    """All dependencies of a worker, each behind its breaker."""

    def __init__(
        self,
        dependencies: Sequence[Dependency],
        outages: OutageClock,
        clock: Clock,
        backoff: Backoff | None = None,
    ) -> None:
        backoff = backoff or Backoff(first_seconds=0.2, longest_seconds=5.0)
        self._clock = clock
        self._pause_seconds = backoff.longest_seconds
        self._breakers = {each.name: Breaker(each, outages, clock, backoff) for each in dependencies}
        self._by_name = {name.casefold(): breaker for name, breaker in self._breakers.items()}

    async def find_down(self) -> DependencyDownError | None:
        """Probe all of them; return the first that does not answer, or None when all are healthy."""
        for breaker in self._breakers.values():
            try:
                await breaker.check()
            except DependencyDownError as error:
                return error
        return None

    async def notice(self) -> None:
        """Probe those that are held to be up; from now on what does not answer is held to be down."""
        for breaker in self._breakers.values():
            if not breaker.is_open:
                try:
                    await breaker.check()
                except DependencyDownError as error:
                    breaker.open(str(error))

    async def wait_until_up(self, error: DependencyDownError) -> bool:
        """Wait until the dependency that the error names is back; one that cannot be probed gets a pause.

        Returns:
            whether it was seen to be down; False: it answers probes, whatever it refused.
        """
        breaker = self._by_name.get(error.dependency.casefold())
        if breaker is None:
            log.warning("a dependency that this worker cannot probe is down", reason=str(error))
            await self._clock.sleep(self._pause_seconds)
            return True
        return await breaker.wait_until_up(str(error))

    def down(self) -> dict[str, str]:
        """The dependencies that are held to be down, each with the reason."""
        return {name: breaker.reason for name, breaker in self._breakers.items() if breaker.is_open}
