"""Time, injected: everything that waits or measures takes a :class:`Clock`."""

import asyncio
import contextlib
import time
from typing import Protocol

__all__ = ["Clock", "OutageClock", "SystemClock"]


class Clock(Protocol):
    """A monotonic clock that can be waited on."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for that long."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait for an event, at most that long; return whether it came."""
        ...


class SystemClock:
    """The process's own monotonic clock."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for that long."""
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait for an event, at most that long; return whether it came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        return event.is_set()


class OutageClock:
    """Counts only the time during which every dependency was up.

    Ages measured on it stand still while a dependency is down: waiting for Milvus is no sign that this process
    is stuck.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stopped_seconds = 0.0
        self._stopped_at: float | None = None
        self._outages = 0

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment, outages left out."""
        now = self._clock.monotonic() if self._stopped_at is None else self._stopped_at
        return now - self._stopped_seconds

    def stop(self) -> None:
        """Begin an outage; outages of several dependencies may overlap."""
        self._outages += 1
        if self._stopped_at is None:
            self._stopped_at = self._clock.monotonic()

    def resume(self) -> None:
        """End an outage; time goes on when the last one has ended."""
        self._outages -= 1
        if self._outages == 0 and self._stopped_at is not None:
            self._stopped_seconds += self._clock.monotonic() - self._stopped_at
            self._stopped_at = None
