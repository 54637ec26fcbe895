"""How fast questions may follow one another."""

import asyncio

from streamproc.observability.clock import Clock

__all__ = ["Pace"]

_MINUTE_SECONDS = 60.0


class Pace:
    """Spaces requests evenly, so that no minute has more requests or tokens than allowed.

    Nobody may save up for a burst: endpoints count in windows shorter than a minute.

    Args:
        clock: to wait on.
        requests_per_minute: None: any number.
        tokens_per_minute: of questions and answers together; None: any number.
    """

    def __init__(
        self, clock: Clock, requests_per_minute: int | None = None, tokens_per_minute: int | None = None
    ) -> None:
        self._clock = clock
        self._seconds_a_request = _MINUTE_SECONDS / requests_per_minute if requests_per_minute else 0.0
        self._seconds_a_token = _MINUTE_SECONDS / tokens_per_minute if tokens_per_minute else 0.0
        self._request_free_at = self._tokens_free_at = clock.monotonic()
        self._turn = asyncio.Lock()  # first come, first served

    async def wait(self, tokens: int) -> None:
        """Wait for the turn of a request of about so many tokens."""
        async with self._turn:
            while (seconds := self._free_at() - self._clock.monotonic()) > 0:
                await self._clock.sleep(seconds)
            now = self._clock.monotonic()
            self._request_free_at = now + self._seconds_a_request
            self._tokens_free_at = now + tokens * self._seconds_a_token

    def settle(self, reckoned: int, used: int) -> None:
        """Correct for a request that used more or fewer tokens than it was let through for."""
        self._tokens_free_at += (used - reckoned) * self._seconds_a_token

    def hold(self, seconds: float) -> None:
        """Let nobody through for that long: the endpoint asks for it."""
        self._request_free_at = max(self._request_free_at, self._clock.monotonic() + seconds)

    def _free_at(self) -> float:
        return max(self._request_free_at, self._tokens_free_at)
