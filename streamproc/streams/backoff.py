"""How long to wait before another attempt."""

import random
from dataclasses import dataclass

__all__ = ["Backoff"]


@dataclass(frozen=True)
class Backoff:
    """Exponential back-off with full jitter, so that workers that failed together do not retry together."""

    first_seconds: float = 0.1
    longest_seconds: float = 10.0

    def delay_seconds(self, attempt: int, chance: random.Random) -> float:
        """The pause after the given failed attempt (1, 2, …): between half of the bound and the bound."""
        bound = min(self.longest_seconds, self.first_seconds * 2.0 ** min(attempt - 1, 30))
        return bound * chance.uniform(0.5, 1.0)
